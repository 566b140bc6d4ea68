//! Latencies of a load at a steady rate, from threads with one keep-alive connection each.
//!
//! A latency counts from when the request was due, not from when it was sent: a gateway that stands still for a
//! moment delays all requests of that moment, also those that were not yet sent.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::client::{Connection, Request, Response};

/// A running load. Dropping it stops it.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    clients: Vec<JoinHandle<()>>,
}

/// What the clients have seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Seconds, of good answers.
    latencies: Vec<f64>,
    /// What was wrong with the others.
    failures: Vec<String>,
}

/// What to send, how often, and which answers are good.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) address: SocketAddr,
    pub(super) request: Request,
    pub(super) clients: u32,
    /// Requests per second of all clients together; 0 for as many as they can.
    pub(super) rate: u32,
    pub(super) check: fn(&Response) -> anyhow::Result<()>,
}

impl Load {
    /// Starts the clients.
    pub(super) fn start(plan: &Plan) -> Self {
        let (stop, seen) = (Arc::default(), Arc::default());
        let clients = (0..plan.clients)
            .map(|number| {
                let (plan, stop, seen) = (plan.clone(), Arc::clone(&stop), Arc::clone(&seen));
                std::thread::spawn(move || client(&plan, number, &stop, &seen))
            })
            .collect();
        Self { stop, seen, clients }
    }

    /// Takes what was seen since the last time.
    pub(super) fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            // A client that panicked has said so on stderr.
            let _ended = client.join();
        }
    }
}

impl Seen {
    /// Adds what was seen at another time.
    pub(super) fn add(&mut self, mut other: Self) {
        self.latencies.append(&mut other.latencies);
        self.failures.append(&mut other.failures);
    }

    /// All requests, good and bad.
    pub(super) const fn requests(&self) -> usize {
        self.latencies.len() + self.failures.len()
    }

    /// What was wrong with those that were not answered well.
    pub(super) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// The latency in milliseconds that this share of the good answers does not exceed; NaN without any.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(rank(sorted.len(), share)).copied().unwrap_or(f64::NAN) * 1e3
    }
}

/// The place of a quantile among so many sorted numbers.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "millions of requests, and a share between 0 and 1"
)]
fn rank(count: usize, share: f64) -> usize {
    ((count as f64 * share).ceil() as usize).clamp(1, count.max(1)) - 1
}

fn client(plan: &Plan, number: u32, stop: &AtomicBool, seen: &Mutex<Seen>) {
    let pause = Duration::from_secs(1)
        .checked_mul(plan.clients)
        .unwrap_or_default();
    let pause = pause.checked_div(plan.rate).unwrap_or_default();
    // Clients do not send all at once.
    let mut due = Instant::now() + pause / plan.clients.max(1) * number;
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) {
        wait_until(due);
        let since = if pause.is_zero() { Instant::now() } else { due };
        let answered = exchange(plan, &mut connection);
        let latency = since.elapsed().as_secs_f64();
        due += pause;
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match answered {
            Ok(()) => seen.latencies.push(latency),
            Err(error) => {
                connection = None;
                seen.failures.push(format!("{error:#}"));
            }
        }
    }
}

fn exchange(plan: &Plan, connection: &mut Option<Connection>) -> anyhow::Result<()> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(Connection::open(plan.address)?),
    };
    let answer = open.exchange(&plan.request).context("no answer")?;
    if answer
        .header("connection")
        .any(|it| it.eq_ignore_ascii_case("close"))
    {
        *connection = None;
    }
    ensure!(
        answer.status == 200,
        "status {} {}: {}",
        answer.status,
        answer.reason,
        String::from_utf8_lossy(&answer.body).trim_end()
    );
    (plan.check)(&answer)
}

/// Waits for a time of the clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a steady rate is a matter of time alone"
)]
pub(super) fn wait_until(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo;

    #[test]
    fn a_quantile_is_one_of_the_latencies() {
        let seen = Seen {
            latencies: (1..=100).rev().map(f64::from).collect(),
            failures: Vec::new(),
        };
        for (share, expect) in [(0.0, 1e3), (0.5, 50e3), (0.99, 99e3), (1.0, 100e3)] {
            assert!((seen.quantile(share) - expect).abs() < 1e-6, "{share}");
        }
        assert!(Seen::default().quantile(0.5).is_nan());
    }

    #[test]
    fn good_and_bad_answers_are_told_apart() {
        let address = echo::start("one", ([127, 0, 0, 1], 0).into()).unwrap();
        let plan = Plan {
            address,
            request: Request {
                method: "GET".into(),
                path: "/".into(),
                ..Request::default()
            },
            clients: 2,
            rate: 0,
            check: |_| Ok(()),
        };
        let some = |plan: &Plan| {
            let load = Load::start(plan);
            let mut seen = Seen::default();
            while seen.requests() < 10 {
                seen.add(load.take());
                std::thread::yield_now();
            }
            seen
        };
        let good = some(&plan);
        assert!(good.failures().is_empty(), "{:?}", good.failures());
        assert!(good.quantile(0.5) > 0.0);
        let bad = some(&Plan {
            check: |_| anyhow::bail!("not this one"),
            ..plan
        });
        assert_eq!(bad.failures().len(), bad.requests());
        assert_eq!(bad.failures()[0], "not this one");
    }
}

//! `cargo xtask bench spin`: how long a guest that never ends delays the other requests of its worker.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::latency::{Load, Plan, Seen, wait_until};
use super::target::Bed;
use super::weir::Weir;
use super::{cpu, section, template, weir};
use crate::client::Request;
use crate::interrupt::Interrupt;
use crate::workspace::Workspace;
use crate::{echo, plugins};

/// An epoch tick, in milliseconds: after so long a guest makes way for the others of its worker.
const TICK: f64 = 1.0;

/// The cases: the deadline of the spinning guest, and how many clients ask for it at once. With the default
/// deadline its calls fail and its starts are soon delayed; with the long one it spins all the time.
const CASES: [(&str, u32); 4] = [("50ms", 1), ("50ms", 20), ("10m", 1), ("10m", 20)];

/// Clients of the healthy route: so many that each can wait for its answer before its next request is due.
const CLIENTS: u32 = 8;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Seconds of load without the spinning guest, and again with it, in each case.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Requests per second on the healthy route.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Write the table into docs/operate/cost.md, to be committed.
    #[arg(long)]
    bless: bool,
}

/// What one case came to.
struct Outcome {
    without: Seen,
    with: Seen,
    /// The share of the time in which the gateway was on a core while the guest was asked for, in percent.
    busy: f64,
    /// How the spinning route answered.
    answers: BTreeMap<String, u64>,
}

/// `cargo xtask bench spin`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    plugins::build(&workspace.root)?;
    let binary = workspace.build_weir()?;
    let interrupt = Interrupt::install()?;
    let bed = Bed {
        root: &workspace.root,
        folder: workspace.target.join("bench/spin"),
        backend: echo::start("origin", ([127, 0, 0, 1], 0).into())?.port(),
    };
    std::fs::create_dir_all(&bed.folder).with_context(|| format!("cannot make {}", bed.folder.display()))?;
    let mut text = String::from(
        "| guest's deadline | clients of the spinning guest | p50, ms | p99, ms | longest, ms | p50 with it, ms | p99 with it, ms | \
         longest with it, ms | delay of p50, ticks | delay of p99, ticks | gateway busy | answers of the spinning route |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (deadline, spinners) in CASES {
        eprintln!("deadline {deadline}, {spinners} clients of the spinning guest");
        let outcome = measure(&bed, &binary, deadline, spinners, options, &interrupt)
            .with_context(|| format!("deadline {deadline}, {spinners} clients of the spinning guest"))?;
        let row = row(deadline, spinners, &outcome);
        eprint!("{row}");
        text.push_str(&row);
    }
    text.push_str(&format!(
        "\nOne worker. Latencies are those of a healthy route under {} requests per second, from when each was due; \
         {} s without and {} s with the spinning guest on another route. A tick is {TICK} ms.",
        options.rate, options.seconds, options.seconds
    ));
    section::publish(&workspace.root, "spin", &text, options.bless)
}

/// Measures one case on a gateway of its own: a guest may spin on after its client has gone.
fn measure(
    bed: &Bed<'_>,
    binary: &Path,
    deadline: &str,
    spinners: u32,
    options: &Options,
    interrupt: &Interrupt,
) -> anyhow::Result<Outcome> {
    let gateway = Weir::start(bed, "spin", binary, 1, |listen| {
        let plugin = bed.root.join("target/wasm/tests/spin.wasm");
        let places = [("PLUGIN", &*plugin.to_string_lossy()), ("DEADLINE", deadline)];
        let objects = template::read(bed.root, "weir/spin.yaml", &places)?;
        weir::write(bed, "manifests", listen, &[objects])
    })?;
    let load = Load::start(&Plan {
        address: gateway.address,
        request: Request {
            method: "GET".into(),
            path: "/".into(),
            ..Request::default()
        },
        clients: CLIENTS,
        rate: options.rate,
        check: |_| Ok(()),
    });
    wait(1, interrupt)?;
    drop(load.take());
    wait(options.seconds, interrupt)?;
    let without = load.take();

    let guests = Spinners::start(gateway.address, spinners);
    wait(1, interrupt)?;
    drop(load.take());
    let (before, since) = (cpu::used(gateway.pid())?, Instant::now());
    wait(options.seconds, interrupt)?;
    let used = cpu::used(gateway.pid())?.saturating_sub(before);
    let busy = used.as_secs_f64() / since.elapsed().as_secs_f64() * 100.0;
    let with = load.take();
    // The load ends before the guests do: what their end is like is not measured.
    drop(load);
    let answers = guests.answers();
    for seen in [&without, &with] {
        ensure!(seen.requests() > 0, "the healthy route answered nothing");
        if let Some(failure) = seen.failures().first() {
            anyhow::bail!(
                "{} of {} requests to the healthy route failed, the first with {failure}",
                seen.failures().len(),
                seen.requests()
            );
        }
    }
    Ok(Outcome {
        without,
        with,
        busy,
        answers,
    })
}

fn row(deadline: &str, spinners: u32, outcome: &Outcome) -> String {
    let (without, with) = (&outcome.without, &outcome.with);
    let delay = |share| (with.quantile(share) - without.quantile(share)) / TICK;
    let answers: Vec<_> = outcome
        .answers
        .iter()
        .map(|(status, count)| format!("{count} × {status}"))
        .collect();
    let answers = if answers.is_empty() {
        "none: it spins".to_owned()
    } else {
        answers.join(", ")
    };
    format!(
        "| {deadline} | {spinners} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} | {:.0} % | {answers} |\n",
        without.quantile(0.5),
        without.quantile(0.99),
        without.quantile(1.0),
        with.quantile(0.5),
        with.quantile(0.99),
        with.quantile(1.0),
        delay(0.5),
        delay(0.99),
        outcome.busy,
    )
}

fn wait(seconds: u64, interrupt: &Interrupt) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        interrupt.check()?;
        wait_until(until.min(Instant::now() + Duration::from_millis(100)));
    }
    Ok(())
}

/// Clients of the route whose guest spins. Dropping them ends them.
struct Spinners {
    stop: Arc<AtomicBool>,
    answers: Arc<Mutex<BTreeMap<String, u64>>>,
    clients: Vec<JoinHandle<()>>,
}

impl Spinners {
    fn start(address: SocketAddr, number: u32) -> Self {
        let (stop, answers) = (Arc::<AtomicBool>::default(), Arc::<Mutex<_>>::default());
        let clients = (0..number)
            .map(|_| {
                let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
                std::thread::spawn(move || spin(address, &stop, &answers))
            })
            .collect();
        Self {
            stop,
            answers,
            clients,
        }
    }

    fn answers(&self) -> BTreeMap<String, u64> {
        self.answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Spinners {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            // A client that panicked has said so on stderr.
            let _ended = client.join();
        }
    }
}

/// Asks again and again; between two answers is a moment, so that refusals alone do not fill the worker.
fn spin(address: SocketAddr, stop: &AtomicBool, answers: &Mutex<BTreeMap<String, u64>>) {
    while !stop.load(Ordering::Relaxed) {
        let answer = match ask(address, stop) {
            Ok(Some(status)) => status,
            Ok(None) => return,
            Err(error) => error.kind().to_string(),
        };
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry(answer).or_default() += 1;
        drop(answers);
        wait_until(Instant::now() + Duration::from_millis(10));
    }
}

/// One request on a connection of its own; `None` when it was stopped before an answer came.
fn ask(address: SocketAddr, stop: &AtomicBool) -> std::io::Result<Option<String>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    stream.write_all(b"GET /spin HTTP/1.1\r\nhost: spin.example\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(Some(status(&answer))),
            Ok(read) => answer.extend(piece.iter().take(read)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The status of an answer.
fn status(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let status = text.split_whitespace().nth(1);
    status.unwrap_or("closed without an answer").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_its_status() {
        assert_eq!(status(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), "503");
        assert_eq!(status(b""), "closed without an answer");
    }

    #[test]
    fn spinning_clients_end_when_they_are_dropped() {
        let address = echo::start("one", ([127, 0, 0, 1], 0).into()).unwrap();
        let spinners = Spinners::start(address, 2);
        while spinners.answers().get("200").is_none_or(|count| *count < 2) {
            std::thread::yield_now();
        }
        drop(spinners);
    }
}

//! When a plugin that keeps failing may be started again.
//!
//! Only starting waits, never an instance that works: a request that makes a guest trap costs one instance, and who
//! sends many of them must not shut the plugin for everybody. So the wait is measured by what starts cost.

use std::time::{Duration, Instant};

/// Failures in a row after which starting waits.
const FREE: u32 = 3;

/// The shortest and the longest wait.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(30);

/// The failures of one plugin on one worker.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    until: Option<Instant>,
    /// What the last start took.
    cost: Duration,
}

impl Backoff {
    /// How long starting must still wait; `None` when it need not.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        self.until?
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())
    }

    /// Notes what a start took.
    pub(crate) fn started(&mut self, cost: Duration) {
        self.cost = cost;
    }

    /// A call ended well: the next failure is the first again. True when starting had been waiting.
    pub(crate) fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.until.take().is_some()
    }

    /// An instance was lost. True when starting waits now and did not before.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let Some(doublings) = self.failures.checked_sub(FREE) else {
            return false;
        };
        let wait = self
            .cost
            .max(SHORTEST)
            .saturating_mul(2u32.saturating_pow(doublings))
            .min(LONGEST);
        self.until.replace(now + wait).is_none()
    }

    /// Failures since a call ended well.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failures_cost_no_time() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        assert!(!backoff.failed(now) && !backoff.failed(now));
        assert_eq!(backoff.wait(now), None);
        assert!(backoff.failed(now), "the third makes the fourth start wait");
        assert_eq!(backoff.wait(now), Some(SHORTEST));
    }

    #[test]
    fn the_wait_doubles_up_to_a_bound() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        backoff.started(Duration::from_millis(10));
        let waits: Vec<_> = (0..16)
            .map(|_| {
                backoff.failed(now);
                backoff.wait(now).unwrap_or_default().as_millis()
            })
            .collect();
        assert_eq!(waits[..6], [0, 0, 10, 20, 40, 80]);
        assert_eq!(waits[15], 30_000);
    }

    #[test]
    fn one_success_ends_it() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        (0..9).for_each(|_| {
            backoff.failed(now);
        });
        assert!(backoff.succeeded());
        assert_eq!(backoff.wait(now), None);
        assert!(!backoff.failed(now));
    }

    #[test]
    fn time_opens_the_door_again() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        (0..3).for_each(|_| {
            backoff.failed(now);
        });
        assert_eq!(backoff.wait(now + SHORTEST), None);
        assert!(backoff.succeeded(), "it was waiting until a call ended well");
    }
}

//! How long to wait before the next attempt. Pure: the dice are thrown by the caller.

use std::time::Duration;

use super::Schedule;
use crate::FetchError;

/// Exponential back-off with full jitter, so that a fleet does not come back all at once.
#[derive(Debug)]
pub(super) struct Backoff<'a> {
    schedule: &'a Schedule,
    failures: u32,
}

impl<'a> Backoff<'a> {
    pub(super) const fn new(schedule: &'a Schedule) -> Self {
        Self {
            schedule,
            failures: 0,
        }
    }

    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after a failure. `dice` is at least 0 and less than 1.
    pub(super) fn after(&mut self, error: &FetchError, dice: f64) -> Duration {
        let Schedule {
            first,
            cap,
            retry_after_cap,
            ..
        } = self.schedule;
        if !error.is_transient() {
            // Only a person can cure it: no hurry, but still no crowd.
            return cap.mul_f64(0.5 + dice / 2.0);
        }
        let ceiling = first
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(*cap);
        self.failures = self.failures.saturating_add(1);
        let wish = error.retry_after().unwrap_or_default().min(*retry_after_cap);
        // After a wish the crowd waits for the same moment, so the jitter comes on top of it.
        wish.saturating_add(ceiling.mul_f64(dice))
    }
}

/// Spreads a regular wait by a tenth to either side.
pub(super) fn around(interval: Duration, dice: f64) -> Duration {
    interval.mul_f64(0.9 + dice / 5.0)
}

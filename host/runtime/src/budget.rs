//! The CPU time that one call may use, counted in epoch ticks and the thread's own clock.
//!
//! A tick is wall time, so a tick alone does not say that the guest ran: it makes the guest yield its worker, and the
//! thread's CPU clock says how much it has used since it ran on. What a call waits in the host is not counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use wasmtime::{Trap, UpdateDeadline};

/// Ticks after which a running guest yields.
pub(crate) const SLICE: u64 = 1;

/// The account of the running call.
#[derive(Debug)]
pub(crate) struct CpuBudget {
    limit: Duration,
    used: Duration,
    tick: Duration,
    account: Account,
}

/// The part of an account that is reached while the guest has its store: by the future that yields, and by whoever
/// drives the guest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The thread's CPU time in nanoseconds when the guest last ran on; 0 while it has not yielded yet.
    resumed: AtomicU64,
    /// Nanoseconds that the guest used before waits of which the budget was not told.
    aside: AtomicU64,
    /// What was used before no longer counts.
    renewed: AtomicBool,
}

impl Account {
    /// The guest is about to run on: what others used of this thread meanwhile is not its own.
    pub(crate) fn resume(&self) {
        self.0.resumed.store(thread_cpu(), Ordering::Relaxed);
    }

    /// The guest waits: what it used since it ran on is counted at its next tick.
    pub(crate) fn pause(&self) {
        // A guest that waits in its first slice has used less than a tick: that much is free.
        if let resumed @ 1.. = self.0.resumed.load(Ordering::Relaxed) {
            let used = thread_cpu().saturating_sub(resumed);
            self.0.aside.fetch_add(used, Ordering::Relaxed);
        }
    }

    /// Begins anew: what was used so far no longer counts.
    pub(crate) fn renew(&self) {
        self.0.aside.store(0, Ordering::Relaxed);
        self.0.renewed.store(true, Ordering::Relaxed);
    }
}

impl CpuBudget {
    pub(crate) fn new(tick: Duration) -> Self {
        Self {
            limit: Duration::ZERO,
            used: Duration::ZERO,
            tick,
            account: Account::default(),
        }
    }

    /// Lets this account be reached from outside.
    pub(crate) fn share(&mut self, account: &Account) {
        self.account = account.clone();
    }

    /// Starts the account of one call.
    pub(crate) fn begin(&mut self, limit: Duration) {
        self.limit = limit;
        self.used = Duration::ZERO;
        self.account.0.resumed.store(0, Ordering::Relaxed);
    }

    /// The host makes the guest wait: what the guest has used since it ran on is counted.
    ///
    /// # Errors
    /// When that is more than it may use.
    pub(crate) fn pause(&mut self) -> Result<(), Trap> {
        // A guest that waits in its first slice has used less than a tick: that much is free.
        if let resumed @ 1.. = self.account.0.resumed.load(Ordering::Relaxed) {
            self.count_since(resumed);
        }
        if self.used > self.limit {
            return Err(Trap::Interrupt);
        }
        Ok(())
    }

    /// Goes on after the host made the guest wait.
    pub(crate) fn resume(&mut self) {
        self.account.resume();
    }

    /// A tick has passed while the guest ran.
    pub(crate) fn tick(&mut self) -> UpdateDeadline {
        let shared = &self.account.0;
        let aside = Duration::from_nanos(shared.aside.swap(0, Ordering::Relaxed));
        if shared.renewed.swap(false, Ordering::Relaxed) {
            self.used = Duration::ZERO;
        }
        self.used += aside;
        match shared.resumed.load(Ordering::Relaxed) {
            // Reading the clock at each start would cost more than most calls: the first slice counts whole.
            0 => self.used += self.tick,
            resumed => self.count_since(resumed),
        }
        if self.used > self.limit {
            return UpdateDeadline::Interrupt;
        }
        // Counted until here: who pauses it next adds what follows.
        self.account.resume();
        let account = self.account.clone();
        UpdateDeadline::YieldCustom(
            SLICE,
            Box::pin(async move {
                // Not a plain wake-up: the worker looks at its sockets first.
                tokio::task::yield_now().await;
                account.resume();
            }),
        )
    }

    fn count_since(&mut self, resumed: u64) {
        self.used += Duration::from_nanos(thread_cpu().saturating_sub(resumed));
    }
}

/// CPU time of this thread, in nanoseconds; 0 where the system does not tell.
fn thread_cpu() -> u64 {
    let Ok(time) = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID) else {
        return 0;
    };
    let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec()).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(1);

    #[test]
    fn a_call_ends_when_its_time_is_used_up() {
        let mut budget = CpuBudget::new(TICK);
        budget.begin(Duration::ZERO);
        assert!(matches!(budget.tick(), UpdateDeadline::Interrupt));
        budget.begin(TICK * 2);
        assert!(matches!(budget.tick(), UpdateDeadline::YieldCustom(..)));
    }

    #[test]
    fn a_renewed_account_begins_at_nothing() {
        let (mut budget, account) = (CpuBudget::new(TICK), Account::default());
        budget.share(&account);
        budget.begin(TICK);
        budget.tick();
        account.renew();
        assert!(matches!(budget.tick(), UpdateDeadline::YieldCustom(..)));
    }

    #[test]
    fn what_is_used_before_a_wait_is_counted_at_the_next_tick() {
        let (mut budget, account) = (CpuBudget::new(TICK), Account::default());
        budget.share(&account);
        budget.begin(TICK);
        let used = (0..10_000_000).take_while(|_| {
            account.resume();
            std::hint::black_box((0..1000).sum::<u64>());
            account.pause();
            matches!(budget.tick(), UpdateDeadline::YieldCustom(..))
        });
        assert!(used.count() < 10_000_000, "it used a millisecond in all");
    }

    #[test]
    fn what_the_thread_did_before_the_call_is_not_counted() {
        let (mut budget, account) = (CpuBudget::new(TICK), Account::default());
        budget.share(&account);
        while thread_cpu() < 20_000_000 {
            std::hint::black_box((0..1000).sum::<u64>());
        }
        account.resume();
        budget.begin(TICK * 10);
        account.pause();
        account.resume();
        assert!(matches!(budget.tick(), UpdateDeadline::YieldCustom(..)));
    }

    #[test]
    fn what_is_used_between_two_waits_is_counted() {
        let mut budget = CpuBudget::new(TICK);
        budget.begin(TICK);
        let waits = (0..).take_while(|_| {
            budget.resume();
            std::hint::black_box((0..1000).sum::<u64>());
            budget.pause().is_ok()
        });
        assert!(
            waits.take(10_000_000).count() < 10_000_000,
            "it used a millisecond in all"
        );
    }

    #[test]
    fn what_other_threads_and_waits_take_is_not_counted() {
        let mut budget = CpuBudget::new(TICK);
        budget.begin(TICK * 2);
        budget.tick();
        for _ in 0..100 {
            budget.resume();
            assert!(
                matches!(budget.tick(), UpdateDeadline::YieldCustom(..)),
                "hardly any CPU time has passed between the two"
            );
        }
    }
}

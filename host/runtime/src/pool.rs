//! Warm instances of one plugin, a stack of them per worker thread. A thread sees only its own stack.

use std::cell::{RefCell, RefMut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use thread_local::ThreadLocal;
use weir_filter::FailureReason;
use weir_telemetry::{CrashLoop, PluginTelemetry};

use crate::backoff::Backoff;
use crate::fault::Fault;
use crate::instance::{Instance, Worn};
use crate::state::Use;

/// The instances of one plugin.
#[derive(Default)]
pub(crate) struct Pool {
    workers: ThreadLocal<RefCell<Own>>,
    /// Workers on which starting waits.
    waiting: AtomicU32,
}

/// What one worker has of a plugin.
#[derive(Default)]
struct Own {
    idle: Vec<Box<Instance>>,
    leased: u32,
    backoff: Backoff,
}

/// The right to one instance, and the instance once there is one. It counts among its thread's leases until that
/// thread gives it back.
pub(crate) struct Lease {
    pub(crate) instance: Option<Box<Instance>>,
    pub(crate) end: End,
    /// What starting the instance took, if this lease started it.
    pub(crate) start: Option<Duration>,
    /// It serves nobody else afterwards.
    fresh: bool,
}

/// How the last call under a lease ended, which says what becomes of its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Well.
    Well,
    /// Well, and it has served long enough.
    Worn(Worn),
    /// The plugin failed.
    Fault,
    /// Not yet: nobody knows what state the guest is in.
    Open,
}

impl Pool {
    /// Takes an instance that `fits`, or the right to start one: `limit` leases at most on one worker. A `fresh` lease
    /// always starts one, and throws it away.
    ///
    /// # Errors
    /// `Exhausted` at the limit, `Backoff` when a start would be needed and has to wait.
    pub(crate) fn lease(
        &self,
        limit: u32,
        fresh: bool,
        fits: impl Fn(&Instance) -> bool,
    ) -> Result<Lease, Fault> {
        let mut own = self.own();
        if own.leased >= limit {
            return Err(exhausted(limit));
        }
        let instance = own.idle.iter().rposition(|it| !fresh && fits(it));
        let instance = instance.map(|at| own.idle.swap_remove(at));
        if instance.is_none() {
            own.may_start()?;
            own.make_room(limit);
        }
        own.leased += 1;
        Ok(Lease {
            instance,
            end: End::Open,
            start: None,
            fresh,
        })
    }

    /// Ends a lease of this thread: a sound instance serves again, any other is thrown away. `used` is what the last
    /// call was for.
    pub(crate) fn give_back(&self, lease: Lease, used: &Use) {
        let mut own = self.own();
        own.leased = own.leased.saturating_sub(1);
        if let Some(cost) = lease.start {
            own.backoff.started(cost);
        }
        match (lease.end, lease.instance) {
            (End::Well, instance) => {
                own.idle.extend(instance.filter(|_| !lease.fresh));
                self.succeeded(own, &used.telemetry);
            }
            (End::Worn(worn), instance) => {
                recycled(instance, worn.as_str());
                self.succeeded(own, &used.telemetry);
            }
            (End::Fault, instance) => {
                recycled(instance, "fault");
                self.failed(own, used);
            }
            (End::Open, instance) => recycled(instance, "abandoned"),
        }
    }

    /// Notes that a call went well whose lease is kept.
    pub(crate) fn went_well(&self, lease: &mut Lease, telemetry: &PluginTelemetry) {
        let mut own = self.own();
        if let Some(cost) = lease.start.take() {
            own.backoff.started(cost);
        }
        self.succeeded(own, telemetry);
    }

    /// Drops the idle instances of this thread; answers how many there were.
    pub(crate) fn release_idle(&self) -> usize {
        let Some(own) = self.workers.get() else { return 0 };
        let idle = std::mem::take(&mut own.borrow_mut().idle);
        idle.len()
    }

    /// How many workers keep failing with this plugin.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    fn own(&self) -> RefMut<'_, Own> {
        self.workers.get_or_default().borrow_mut()
    }

    fn succeeded(&self, mut own: RefMut<'_, Own>, telemetry: &PluginTelemetry) {
        let ends_waiting = own.backoff.failures() > 0 && own.backoff.succeeded();
        if ends_waiting && self.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            telemetry.set_crash_loop(CrashLoop::Running);
        }
    }

    #[cold]
    fn failed(&self, mut own: RefMut<'_, Own>, used: &Use) {
        let begins_waiting = own.backoff.failed(Instant::now());
        if begins_waiting && self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                plugin = used.plugin,
                "it fails again and again: its starts are delayed"
            );
            used.telemetry.set_crash_loop(CrashLoop::BackingOff);
        }
    }
}

impl Default for Lease {
    /// Of no instance.
    fn default() -> Self {
        Self {
            instance: None,
            end: End::Open,
            start: None,
            fresh: true,
        }
    }
}

impl Own {
    /// Idle instances that do not fit make way, so that they do not pile up beside those that do.
    fn make_room(&mut self, limit: u32) {
        let kept = usize::try_from(limit.saturating_sub(self.leased + 1)).unwrap_or(usize::MAX);
        if self.idle.len() > kept {
            self.idle.remove(0).telemetry().recycled("limit");
        }
    }

    fn may_start(&self) -> Result<(), Fault> {
        let Some(wait) = self.backoff.wait(Instant::now()) else {
            return Ok(());
        };
        Err(Fault {
            reason: FailureReason::Backoff,
            message: format!(
                "it failed {} times in a row; it is started again in {wait:?}",
                self.backoff.failures()
            ),
        })
    }
}

fn recycled(instance: Option<Box<Instance>>, cause: &'static str) {
    if let Some(instance) = instance {
        instance.telemetry().recycled(cause);
    }
}

#[cold]
fn exhausted(limit: u32) -> Fault {
    Fault {
        reason: FailureReason::Exhausted,
        message: format!("all {limit} instances that one worker may have are in use"),
    }
}

//! Warm instances of one plugin, a stack of them per worker thread.
//!
//! A thread sees only its own stack. Its lock is there for the compiler: nobody ever waits for it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use thread_local::ThreadLocal;
use weir_filter::FailureReason;
use weir_telemetry::{CrashLoop, PluginTelemetry};

use crate::backoff::Backoff;
use crate::fault::Fault;
use crate::instance::{Instance, Limits, Worn};
use crate::state::Use;

/// The instances of one plugin.
#[derive(Default)]
pub(crate) struct Pool {
    workers: ThreadLocal<Arc<WorkerPool>>,
    /// Workers on which starting waits.
    waiting: Arc<AtomicU32>,
}

/// The instances of one plugin on one worker.
pub(crate) struct WorkerPool {
    own: Mutex<Own>,
    waiting: Arc<AtomicU32>,
}

#[derive(Default)]
struct Own {
    idle: Vec<Instance>,
    leased: u32,
    backoff: Backoff,
}

/// The right to one instance, and the instance once there is one. An instance that is not marked sound when this is
/// dropped is thrown away.
pub(crate) struct Lease {
    pool: Arc<WorkerPool>,
    pub(crate) instance: Option<Instance>,
    /// It may serve again.
    pub(crate) sound: bool,
    /// It serves nobody else afterwards.
    fresh: bool,
    /// Why it gives way to a new one when the lease ends.
    worn: Option<Worn>,
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
        let pool = self.workers.get_or(|| {
            Arc::new(WorkerPool {
                own: Mutex::default(),
                waiting: Arc::clone(&self.waiting),
            })
        });
        let mut own = pool.own();
        if own.leased >= limit {
            return Err(Fault {
                reason: FailureReason::Exhausted,
                message: format!("all {limit} instances that one worker may have are in use"),
            });
        }
        let instance = own.idle.iter().rposition(|it| !fresh && fits(it));
        let instance = instance.map(|at| own.idle.swap_remove(at));
        if instance.is_none() {
            own.may_start()?;
            own.make_room(limit);
        }
        own.leased += 1;
        drop(own);
        Ok(Lease {
            pool: Arc::clone(pool),
            instance,
            sound: false,
            fresh,
            worn: None,
        })
    }

    /// Drops the idle instances of this thread; answers how many there were.
    pub(crate) fn release_idle(&self) -> usize {
        let Some(pool) = self.workers.get() else { return 0 };
        let idle = std::mem::take(&mut pool.own().idle);
        idle.len()
    }

    /// How many workers keep failing with this plugin.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl WorkerPool {
    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Lease {
    /// Notes what starting the instance took.
    pub(crate) fn started(&self, since: Instant) {
        self.pool.own().backoff.started(since.elapsed());
    }

    /// Throws the instance away, although nothing failed.
    pub(crate) fn recycle(&mut self, cause: &'static str) {
        if let Some(instance) = self.instance.take() {
            instance.telemetry().recycled(cause);
        }
    }

    /// Notes whether the instance should give way to a new one. It does when the lease ends: an exchange that it stays
    /// with keeps it until then.
    pub(crate) fn wear(&mut self, limits: &Limits) {
        let worn = self.instance.as_ref().and_then(|it| it.worn(limits));
        self.worn = self.worn.or(worn);
    }

    /// A call ended well.
    pub(crate) fn succeeded(&mut self) {
        self.sound = true;
        if self.ends_a_loop()
            && let Some(instance) = &self.instance
        {
            instance.telemetry().set_crash_loop(CrashLoop::Running);
        }
    }

    /// A call ended well whose instance is kept elsewhere.
    pub(crate) fn succeeded_without(&mut self, telemetry: &PluginTelemetry) {
        if self.ends_a_loop() {
            telemetry.set_crash_loop(CrashLoop::Running);
        }
    }

    /// True when no worker's starts wait any more, and did before.
    fn ends_a_loop(&self) -> bool {
        let mut own = self.pool.own();
        let ended = own.backoff.failures() > 0 && own.backoff.succeeded();
        ended && self.pool.waiting.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// The instance, or its start, failed: it is thrown away.
    pub(crate) fn failed(&mut self, used: &Use) {
        self.sound = false;
        self.recycle("fault");
        if self.pool.own().backoff.failed(Instant::now())
            && self.pool.waiting.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::warn!(
                plugin = used.plugin,
                "it fails again and again: its starts are delayed"
            );
            used.telemetry.set_crash_loop(CrashLoop::BackingOff);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(worn) = self.worn.filter(|_| self.sound) {
            self.recycle(worn.as_str());
        }
        let instance = self.instance.take().filter(|_| self.sound && !self.fresh);
        let mut own = self.pool.own();
        own.leased -= 1;
        own.idle.extend(instance);
    }
}

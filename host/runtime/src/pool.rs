//! Warm instances of one plugin, a stack of them per worker thread. A thread sees only its own stack.

use std::cell::{RefCell, RefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use thread_local::ThreadLocal;
use weir_filter::FailureReason;

use crate::backoff::Backoff;
use crate::fault::Fault;
use crate::instance::{Instance, Worn};
use crate::state::Use;

/// The instances of one plugin.
#[derive(Default)]
pub(crate) struct Pool {
    workers: ThreadLocal<RefCell<Own>>,
    /// Workers on which starting waits.
    waiting: Arc<AtomicU32>,
}

/// What one worker has of a plugin.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "an instance moves in and out with every call")]
struct Own {
    /// The one used last is the last.
    idle: Vec<Box<Instance>>,
    /// How many leases each filter has that has any, by its slot.
    leases: Vec<(u32, u32)>,
    /// The largest limit of a filter that was seen.
    most: u32,
    backoff: Backoff,
}

/// The right to one instance, and the instance once there is one. It counts among its thread's leases until that
/// thread gives it back.
pub(crate) struct Lease {
    pub(crate) instance: Option<Box<Instance>>,
    pub(crate) end: End,
    /// What starting the instance took, if this lease started it.
    pub(crate) start: Option<Duration>,
    /// The instance was there for an earlier call of the same exchange.
    pub(crate) is_kept: bool,
    /// How the last call ended was counted already.
    is_counted: bool,
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

impl Lease {
    /// A call begins: whatever the last one did.
    pub(crate) const fn begin(&mut self) {
        self.end = End::Open;
        self.is_counted = false;
    }
}

impl Pool {
    /// One with instances of its own for the same plugin: where one waits, the plugin waits.
    pub(crate) fn sibling(&self) -> Self {
        Self {
            workers: ThreadLocal::new(),
            waiting: Arc::clone(&self.waiting),
        }
    }

    /// Takes an instance that `fits`, or the right to start one, for a call of `used`, which has so many at most on one
    /// worker. A `fresh` lease always starts one, and throws it away.
    ///
    /// # Errors
    /// `Exhausted` at the limit, `Backoff` when a start would be needed and has to wait.
    pub(crate) fn lease(
        &self,
        used: &Use,
        fresh: bool,
        fits: impl Fn(&Instance) -> bool,
    ) -> Result<Lease, Fault> {
        let mut own = self.own();
        let mut evicted = None;
        if own.leases_of(used) >= used.instances {
            return Err(exhausted(used.instances));
        }
        let instance = own.idle.iter().rposition(|it| !fresh && fits(it));
        let instance = instance.map(|at| own.idle.remove(at));
        if instance.is_none() {
            own.may_start()?;
            evicted = own.make_room(used.instances);
        }
        own.count_lease(used);
        // What falls with an instance may look at this pool.
        drop(own);
        recycled(evicted, "limit");
        Ok(Lease {
            instance,
            end: End::Open,
            start: None,
            is_kept: false,
            is_counted: false,
            fresh,
        })
    }

    /// Ends a lease of this thread: a sound instance serves again, any other is thrown away. `used` is what the lease
    /// was taken for.
    pub(crate) fn give_back(&self, lease: Lease, used: &Use) {
        let mut own = self.own();
        own.uncount_lease(used);
        if !lease.is_counted {
            self.count(&mut own, &lease, used);
        }
        let gone = match lease.end {
            End::Well if !lease.fresh => {
                own.idle.extend(lease.instance);
                return;
            }
            End::Well => None,
            End::Worn(worn) => Some(worn.as_str()),
            End::Fault => Some("fault"),
            End::Open => Some("abandoned"),
        };
        drop(own);
        if let Some(cause) = gone {
            recycled(lease.instance, cause);
        }
    }

    /// Keeps a lease for the next call of its exchange. How the last one ended counts now.
    pub(crate) fn keep(&self, lease: &mut Lease, used: &Use) {
        self.count(&mut self.own(), lease, used);
        lease.is_counted = true;
        lease.is_kept = true;
        lease.start = None;
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

    /// Counts how a call ended: failures in a row delay starts, and a success ends the row.
    fn count(&self, own: &mut Own, lease: &Lease, used: &Use) {
        if let Some(cost) = lease.start {
            own.backoff.started(cost);
        }
        match lease.end {
            End::Well | End::Worn(_) => {
                if own.backoff.failures() > 0 && own.backoff.succeeded() {
                    self.waiting.fetch_sub(1, Ordering::Relaxed);
                }
            }
            End::Fault => self.count_fault(own, used),
            End::Open => {}
        }
    }

    #[cold]
    fn count_fault(&self, own: &mut Own, used: &Use) {
        let begins_waiting = own.backoff.failed(Instant::now());
        if begins_waiting && self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                plugin = used.plugin,
                "it fails again and again: its starts are delayed"
            );
        }
    }
}

impl Drop for Pool {
    /// Whoever waited here waits no more.
    fn drop(&mut self) {
        let waited = self.workers.iter_mut();
        let waited = waited.filter_map(|own| own.get_mut().backoff.succeeded().then_some(()));
        for () in waited {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Own {
    fn leases_of(&self, used: &Use) -> u32 {
        let slot = used.limits.slot;
        let own = self.leases.iter().find(|(of, _)| *of == slot);
        own.map_or(0, |(_, leases)| *leases)
    }

    fn count_lease(&mut self, used: &Use) {
        let slot = used.limits.slot;
        match self.leases.iter_mut().find(|(of, _)| *of == slot) {
            Some((_, leases)) => *leases += 1,
            None => self.leases.push((slot, 1)),
        }
    }

    /// A lease that was taken on another thread is not found here.
    fn uncount_lease(&mut self, used: &Use) {
        let slot = used.limits.slot;
        let Some(at) = self.leases.iter().position(|(of, _)| *of == slot) else {
            return;
        };
        match self.leases.get_mut(at) {
            Some((_, leases)) if *leases > 1 => *leases -= 1,
            _ => drop(self.leases.swap_remove(at)),
        }
    }

    /// Takes the instance out that was idle longest when there are more than any filter may have: those that no longer
    /// fit must not pile up beside those that do.
    fn make_room(&mut self, limit: u32) -> Option<Box<Instance>> {
        self.most = self.most.max(limit);
        let most = usize::try_from(self.most).unwrap_or(usize::MAX);
        (self.idle.len() >= most).then(|| self.idle.remove(0))
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

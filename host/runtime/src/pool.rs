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
use crate::state::{Effect, Use};

/// The instances of one plugin's code.
#[derive(Default)]
pub(crate) struct Pool {
    workers: ThreadLocal<RefCell<Own>>,
}

/// The starts of one loaded plugin over all workers. Plugins share instances when their bytes are the same, but who
/// fails makes nobody else wait.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    /// Workers on which they are delayed.
    delayed_on: AtomicU32,
}

impl Starts {
    /// True while the plugin fails so often that its starts are delayed.
    pub(crate) fn are_delayed(&self) -> bool {
        self.delayed_on.load(Ordering::Relaxed) > 0
    }
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
    /// Of each plugin that started an instance here, or failed.
    backoffs: Vec<(Arc<Starts>, Backoff)>,
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
    /// Takes an instance that fits `used`, or the right to start one, for a call of it, which has so many at most on one
    /// worker. A `fresh` lease always starts one, and throws it away.
    ///
    /// # Errors
    /// `Exhausted` at the limit, `Backoff` when a start would be needed and has to wait.
    pub(crate) fn lease(&self, used: &Use, fresh: bool) -> Result<Lease, Fault> {
        let mut own = self.own();
        let mut evicted = None;
        if own.leases_of(used) >= used.instances {
            return Err(exhausted(used.instances));
        }
        let instance = own.idle.iter().rposition(|it| !fresh && it.fits(used));
        let instance = instance.map(|at| own.idle.remove(at));
        if instance.is_none() {
            own.may_start(used)?;
            evicted = own.make_room(used.instances);
        }
        own.count_lease(used);
        // What falls with an instance may look at this pool.
        drop(own);
        if let Some(instance) = evicted {
            instance.telemetry().recycled("limit");
        }
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
            own.count(&lease, used);
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
            // Whose call it was, and not who started the instance.
            if lease.instance.is_some() {
                used.telemetry.recycled(cause);
            }
        }
    }

    /// Keeps a lease for the next call of its exchange. How the last one ended counts now.
    pub(crate) fn keep(&self, lease: &mut Lease, used: &Use) {
        self.own().count(lease, used);
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

    fn own(&self) -> RefMut<'_, Own> {
        self.workers.get_or_default().borrow_mut()
    }
}

impl Drop for Pool {
    /// Whoever waited here waits no more.
    fn drop(&mut self) {
        for own in self.workers.iter_mut() {
            for (starts, backoff) in &mut own.get_mut().backoffs {
                if backoff.succeeded() {
                    starts.delayed_on.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }
}

impl Own {
    /// Counts how a call ended: failures in a row delay starts, and a success ends the row.
    fn count(&mut self, lease: &Lease, used: &Use) {
        if let Some(cost) = lease.start {
            self.note(used, |it| it.started(cost));
        }
        match lease.end {
            End::Well | End::Worn(_) => {
                let failed = self.known_backoff(used).filter(|it| it.failures() > 0);
                if failed.is_some_and(Backoff::succeeded) {
                    used.starts.delayed_on.fetch_sub(1, Ordering::Relaxed);
                }
            }
            End::Fault => self.count_fault(used),
            End::Open => {}
        }
    }

    #[cold]
    fn count_fault(&mut self, used: &Use) {
        let delays = self.note(used, |it| it.failed(Instant::now()));
        if delays && used.starts.delayed_on.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                plugin = used.plugin,
                filter = used.filter,
                shadow = used.effect == Effect::None,
                "it fails again and again: its starts are delayed"
            );
        }
    }

    fn known_backoff(&mut self, used: &Use) -> Option<&mut Backoff> {
        let mut all = self.backoffs.iter_mut();
        let known = all.find(|(of, _)| Arc::ptr_eq(of, &used.starts));
        known.map(|(_, backoff)| backoff)
    }

    #[cold]
    fn note<R>(&mut self, used: &Use, update: impl FnOnce(&mut Backoff) -> R) -> R {
        if let Some(known) = self.known_backoff(used) {
            return update(known);
        }
        // Those of plugins that are gone have nobody to delay.
        self.backoffs.retain(|(of, _)| Arc::strong_count(of) > 1);
        let mut backoff = Backoff::default();
        let result = update(&mut backoff);
        self.backoffs.push((Arc::clone(&used.starts), backoff));
        result
    }

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

    fn may_start(&mut self, used: &Use) -> Result<(), Fault> {
        let Some(backoff) = self.known_backoff(used) else {
            return Ok(());
        };
        let Some(wait) = backoff.wait(Instant::now()) else {
            return Ok(());
        };
        Err(Fault {
            reason: FailureReason::Backoff,
            message: format!(
                "it failed {} times in a row; it is started again in {wait:?}",
                backoff.failures()
            ),
        })
    }
}

#[cold]
fn exhausted(limit: u32) -> Fault {
    Fault {
        reason: FailureReason::Exhausted,
        message: format!("all {limit} instances that one worker may have are in use"),
    }
}

//! Warm instances of one plugin, a stack of them per worker thread.
//!
//! A thread sees only its own stack: a lease takes no lock and allocates nothing.

use std::cell::RefCell;

use thread_local::ThreadLocal;
use weir_filter::FailureReason;

use crate::instance::{Fault, Instance};

/// The instances of one plugin.
pub(crate) struct Pool {
    workers: ThreadLocal<RefCell<Worker>>,
}

#[derive(Default)]
struct Worker {
    idle: Vec<Instance>,
    leased: u32,
}

/// An instance taken for one call. Unless it is given back it is thrown away.
pub(crate) struct Lease<'a> {
    worker: &'a RefCell<Worker>,
    instance: Option<Instance>,
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self {
            workers: ThreadLocal::new(),
        }
    }

    /// Runs `call` on a warm instance that `fits`, or on one that `start` makes. The instance is kept if `call` and then
    /// `keep` say so: `limit` instances at most are leased on one worker.
    ///
    /// # Errors
    /// `Exhausted` at the limit; else what `start` or `call` say.
    pub(crate) fn with<R>(
        &self,
        limit: u32,
        start: impl FnOnce() -> Result<Instance, Fault>,
        fits: impl FnOnce(&mut Instance) -> bool,
        call: impl FnOnce(&mut Instance) -> Result<R, Fault>,
        keep: impl FnOnce(&Instance) -> bool,
    ) -> Result<R, Fault> {
        let mut lease = self.lease(limit)?;
        if let Some(instance) = &mut lease.instance
            && !fits(instance)
        {
            lease.instance = None;
        }
        let instance = match &mut lease.instance {
            Some(instance) => instance,
            empty => empty.insert(start()?),
        };
        let answer = call(instance)?;
        if keep(instance) {
            lease.give_back();
        }
        Ok(answer)
    }

    fn lease(&self, limit: u32) -> Result<Lease<'_>, Fault> {
        let worker = self.workers.get_or_default();
        let mut own = worker.borrow_mut();
        if own.leased >= limit {
            return Err(Fault {
                reason: FailureReason::Exhausted,
                message: format!("all {limit} instances that one worker may have are in use"),
            });
        }
        own.leased += 1;
        let instance = own.idle.pop();
        Ok(Lease { worker, instance })
    }
}

impl Lease<'_> {
    fn give_back(mut self) {
        if let Some(instance) = self.instance.take() {
            self.worker.borrow_mut().idle.push(instance);
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.worker.borrow_mut().leased -= 1;
    }
}

//! One configured use of a component, and how each call of it is begun and ended, whatever the call is about.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use weir_filter::{Exchange, FailureReason, FilterError};
use weir_model::Isolation;

use crate::call::{ComponentCall, Driven, Unready};
use crate::code::Code;
use crate::export::Part;
use crate::fault::Fault;
use crate::pool::{End, Lease, Pool};
use crate::state::Use;
use crate::work::Work;

/// One configured use of a loaded plugin. Dropping it makes the instances forget its configuration.
#[derive(Debug)]
pub(crate) struct Component(Arc<Callee>);

/// What is called.
pub(crate) struct Callee {
    pub(crate) code: Arc<Code>,
    pub(crate) used: Arc<Use>,
    pub(crate) part: Part,
    /// An instance stays with an exchange or connection from its first call to its last.
    pub(crate) keeps: bool,
    /// Where there is one, its instances serve nobody else.
    pub(crate) own_pool: Option<Pool>,
}

/// A call that is over.
pub(crate) struct Ended<A> {
    pub(crate) exchange: Exchange,
    pub(crate) kept: Option<Leased>,
    pub(crate) result: Result<A, FilterError>,
}

/// A call under way. However it ends, its lease goes back.
pub(crate) struct Calling<A: 'static, C: Borrow<Arc<Callee>> = Arc<Callee>> {
    callee: C,
    /// Until it is over.
    call: Option<ComponentCall<A>>,
    name: &'static str,
    since: Instant,
}

/// A lease that goes back when this is dropped, such as one between two calls of an exchange.
pub(crate) struct Leased {
    callee: Arc<Callee>,
    lease: Option<Lease>,
}

impl Component {
    pub(crate) fn new(code: Arc<Code>, used: Arc<Use>, keeps: bool) -> Self {
        Self(Arc::new(Callee {
            code,
            used,
            part: Part::Filter,
            keeps,
            own_pool: None,
        }))
    }

    /// Counts a failure that no call reported.
    pub(crate) fn count_failure(&self, reason: FailureReason) {
        self.0.used.own_telemetry.failed(reason.as_str());
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.used.filter
    }

    pub(crate) fn makes_callouts(&self) -> bool {
        let imports = &self.0.code.imports;
        imports.iter().any(|it| it == "upstream" || it == "grpc")
    }

    /// Runs a call as far as it comes: over, or waiting.
    pub(crate) fn call<W: Work>(
        &self,
        work: W,
        exchange: Exchange,
        kept: Option<Leased>,
        cx: &mut Context<'_>,
    ) -> Result<Ended<W::Answer>, Calling<W::Answer>> {
        // The usual call is over at once and never touches the count of who shares the callee.
        let mut calling = match Calling::begin(&self.0, work, exchange, kept) {
            Ok(calling) => calling,
            Err(ended) => return Ok(ended),
        };
        match calling.poll(cx) {
            Poll::Ready(ended) => Ok(ended),
            Poll::Pending => Err(calling.hold(Arc::clone(&self.0))),
        }
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        self.0.code.drop_use(&self.0.used);
    }
}

impl Callee {
    fn pool(&self) -> &Pool {
        self.own_pool.as_ref().unwrap_or_else(|| self.code.pool())
    }

    fn lease(&self) -> Result<Lease, Fault> {
        // An instance that is nobody else's is kept by whoever calls, or thrown away.
        let fresh = self.own_pool.is_some() || self.used.isolation == Isolation::Fresh;
        self.pool().lease(&self.used, fresh)
    }

    fn give_back(&self, lease: Lease) {
        self.pool().give_back(lease, &self.used);
    }
}

impl<A: 'static, C: Borrow<Arc<Callee>>> Calling<A, C> {
    /// Begins a call, with the instance that was kept, if one was.
    ///
    /// # Errors
    /// The end of the call when no instance is to be had.
    pub(crate) fn begin<W: Work<Answer = A>>(
        whose: C,
        work: W,
        exchange: Exchange,
        kept: Option<Leased>,
    ) -> Result<Self, Ended<A>> {
        let (since, name) = (Instant::now(), work.name());
        let callee = whose.borrow();
        let lease = match kept.and_then(|mut it| it.lease.take()) {
            Some(lease) => Ok(lease),
            None => callee.lease(),
        };
        let lease = match lease {
            Ok(lease) => lease,
            Err(fault) => {
                return Err(Ended {
                    exchange,
                    kept: None,
                    result: Err(error(&callee.used, fault)),
                });
            }
        };
        let unready = Unready::of(&lease, &callee.code, &callee.used, callee.part);
        let limits = &callee.used.limits;
        let (slot, timeout) = (limits.slot, limits.timeout);
        let call = ComponentCall::new(lease, unready, slot, timeout, work, exchange);
        Ok(Self {
            callee: whose,
            call: Some(call),
            name,
            since,
        })
    }

    /// Goes on with the call until it is over or its wall time is.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended<A>> {
        let Some(call) = &mut self.call else {
            return Poll::Pending;
        };
        let driven = ready!(call.poll(cx));
        self.call = None;
        let telemetry = &self.callee.borrow().used.telemetry;
        telemetry.called(self.name, self.since.elapsed());
        Poll::Ready(self.ended(driven))
    }

    /// Ends the guest where it stands.
    pub(crate) fn give_up(&mut self) -> Exchange {
        let left = self.call.take().and_then(|mut it| it.give_up());
        let Some((exchange, lease)) = left else {
            return Exchange::default();
        };
        let callee = self.callee.borrow();
        callee.used.telemetry.called(self.name, self.since.elapsed());
        callee.give_back(lease);
        exchange
    }

    /// The same call with another hold on what is called.
    fn hold<D: Borrow<Arc<Callee>>>(mut self, callee: D) -> Calling<A, D> {
        Calling {
            callee,
            call: self.call.take(),
            name: self.name,
            since: self.since,
        }
    }

    fn ended(&self, driven: Driven<A>) -> Ended<A> {
        let Driven {
            exchange,
            lease,
            result,
        } = driven;
        let callee = self.callee.borrow();
        let kept = match (&result, lease) {
            (Ok(_), Some(lease)) if callee.keeps => Some(Leased::keep(callee, lease)),
            (_, lease) => {
                if let Some(lease) = lease {
                    callee.give_back(lease);
                }
                None
            }
        };
        Ended {
            exchange,
            kept,
            result: result.map_err(|fault| error(&callee.used, fault)),
        }
    }
}

impl<A: 'static, C: Borrow<Arc<Callee>>> Drop for Calling<A, C> {
    fn drop(&mut self) {
        if self.call.is_some() {
            drop(self.give_up());
        }
    }
}

impl<A: 'static> fmt::Debug for Calling<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calling")
            .field("filter", &self.callee.used.filter)
            .field("call", &self.name)
            .finish_non_exhaustive()
    }
}

impl Leased {
    /// The right to an instance that the pool does not see.
    ///
    /// # Errors
    /// When there are enough, or starting has to wait.
    pub(crate) fn without_instance(callee: &Arc<Callee>) -> Result<Self, Fault> {
        let lease = callee.pool().lease(&callee.used, true)?;
        Ok(Self {
            callee: Arc::clone(callee),
            lease: Some(lease),
        })
    }

    /// No instance could be started.
    pub(crate) fn failed(mut self, fault: &Fault) {
        if let Some(lease) = self.lease.as_mut().filter(|_| fault.is_of_plugin()) {
            lease.end = End::Fault;
        }
    }

    /// An instance was started, which took so long, and that counts as a call that ended well.
    pub(crate) fn started(&mut self, cost: Duration) {
        if let Some(lease) = &mut self.lease {
            (lease.start, lease.end) = (Some(cost), End::Well);
            self.callee.pool().keep(lease, &self.callee.used);
        }
    }

    fn keep(callee: &Arc<Callee>, mut lease: Lease) -> Self {
        callee.pool().keep(&mut lease, &callee.used);
        Self {
            callee: Arc::clone(callee),
            lease: Some(lease),
        }
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.callee.give_back(lease);
        }
    }
}

impl fmt::Debug for Callee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callee")
            .field("filter", &self.used.filter)
            .finish_non_exhaustive()
    }
}

/// Counts a failure and says whose it is.
#[cold]
pub(crate) fn error(used: &Use, fault: Fault) -> FilterError {
    used.own_telemetry.failed(fault.reason.as_str());
    FilterError {
        filter: used.filter.clone(),
        reason: fault.reason,
        message: fault.message,
    }
}

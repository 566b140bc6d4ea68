//! One call of a guest on its way: it gets an instance ready, takes the exchange in, runs the guest, and brings the
//! exchange out again, also when it is given up in the middle. A connection counts as an exchange here.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;
use weir_filter::{Exchange, FailureReason, Kept};

use crate::export::Part;
use crate::fault::Fault;
use crate::instance::{Instance, Limits};
use crate::plugin::Code;
use crate::pool::Lease;
use crate::state::Use;
use crate::work::Work;

/// A call of a component.
pub(crate) struct ComponentCall<W: Work> {
    /// Dropped before `home` is read.
    driving: Option<Driving<W::Answer>>,
    home: Home,
    timeout: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

type Driving<A> = Pin<Box<dyn Future<Output = Driven<A>>>>;

/// How a call came out.
pub(crate) struct Driven<A> {
    pub(crate) exchange: Exchange,
    pub(crate) kept: Option<Kept>,
    pub(crate) result: Result<A, Fault>,
}

/// Where a call that is given up leaves the exchange.
type Home = Rc<Cell<Option<Exchange>>>;

/// What an instance that is not warm, or does not know the configuration, needs. Others do without: these counts are
/// shared by all workers.
pub(crate) struct Unready {
    pub(crate) code: Arc<Code>,
    pub(crate) used: Arc<Use>,
    pub(crate) part: Part,
    pub(crate) drops: u64,
}

impl<W: Work> ComponentCall<W> {
    pub(crate) fn new(
        mut lease: Lease,
        unready: Option<Unready>,
        limits: Limits,
        keeps: bool,
        work: W,
        exchange: Exchange,
    ) -> Self {
        // Until this call has ended well, whatever the last one did.
        lease.sound = false;
        let home = Home::default();
        let visit = Visit {
            lease: Some(lease),
            exchange: Some(exchange),
            spare: None,
            home: Rc::clone(&home),
        };
        Self {
            driving: Some(Box::pin(drive(visit, unready, limits, keeps, work))),
            home,
            timeout: limits.timeout,
            sleep: None,
        }
    }

    /// Goes on with the call until it is over or its wall time is.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Driven<W::Answer>> {
        let Some(driving) = &mut self.driving else {
            return Poll::Pending;
        };
        if let Poll::Ready(driven) = driving.as_mut().poll(cx) {
            return Poll::Ready(driven);
        }
        // Only a call that waits pays for a timer.
        let timeout = self.timeout;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Driven {
            exchange: self.give_up(),
            kept: None,
            result: Err(Fault {
                reason: FailureReason::Timeout,
                message: format!("one call took longer than {timeout:?}"),
            }),
        })
    }

    /// Ends the guest where it stands.
    pub(crate) fn give_up(&mut self) -> Exchange {
        self.driving = None;
        self.home.take().unwrap_or_default()
    }
}

async fn drive<W: Work>(
    mut visit: Visit,
    unready: Option<Unready>,
    limits: Limits,
    keeps: bool,
    work: W,
) -> Driven<W::Answer> {
    if let Some(unready) = unready
        && let Err(fault) = visit.ready(&unready).await
    {
        return visit.end(Err(fault), false);
    }
    let Some(instance) = visit.enter(limits.slot) else {
        return visit.end(Err(no_instance()), false);
    };
    let result = instance.call(&limits, &work).await;
    visit.leave();
    if result.is_ok() {
        visit.wear(&limits);
    }
    visit.end(result, keeps)
}

/// An exchange visiting an instance. When it is dropped in the middle of a call, the exchange goes home and the
/// instance, whose guest stands still somewhere, is thrown away.
struct Visit {
    lease: Option<Lease>,
    exchange: Option<Exchange>,
    /// The instance's own exchange, while ours is inside.
    spare: Option<Exchange>,
    home: Home,
}

impl Visit {
    /// Makes the instance ready, or a new one. An instance that was there before and fails at that is not this
    /// filter's problem.
    async fn ready(&mut self, unready: &Unready) -> Result<(), Fault> {
        let Some(lease) = &mut self.lease else {
            return Err(no_instance());
        };
        if let Some(instance) = &mut lease.instance {
            if instance.prepare(&unready.used, unready.drops).await.is_ok() {
                return Ok(());
            }
            lease.instance = None;
        }
        let started = unready.start(lease).await;
        // A full engine says nothing about the plugin.
        if let Err(fault) = &started
            && fault.reason != FailureReason::Exhausted
        {
            lease.failed(&unready.used);
        }
        started
    }

    fn enter(&mut self, slot: u32) -> Option<&mut Instance> {
        let instance = self.lease.as_mut()?.instance.as_mut()?;
        let exchange = self.exchange.take()?;
        self.spare = Some(instance.enter(slot, exchange));
        Some(instance)
    }

    fn leave(&mut self) {
        let instance = self.lease.as_mut().and_then(|it| it.instance.as_mut());
        if let (Some(spare), Some(instance)) = (self.spare.take(), instance) {
            self.exchange = Some(instance.leave(spare));
        }
    }

    fn wear(&mut self, limits: &Limits) {
        if let Some(lease) = &mut self.lease {
            lease.wear(limits);
        }
    }

    fn end<A>(mut self, result: Result<A, Fault>, keeps: bool) -> Driven<A> {
        let mut lease = self.lease.take();
        if let Some(lease) = &mut lease {
            match &result {
                Ok(_) => lease.succeeded(),
                Err(_) => {
                    if let Some(used) = lease.instance.as_ref().and_then(Instance::current) {
                        lease.failed(&used);
                    }
                }
            }
        }
        Driven {
            exchange: self.exchange.take().unwrap_or_default(),
            kept: lease
                .filter(|it| keeps && it.sound && it.instance.is_some())
                .map(Kept::new),
            result,
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.spare.is_some() {
            self.leave();
            if let Some(lease) = &mut self.lease {
                lease.recycle("abandoned");
            }
        }
        self.home.set(self.exchange.take());
    }
}

impl Unready {
    /// What the instance of a lease needs before a call of `used`; `None` when it is ready.
    pub(crate) fn of(lease: &Lease, code: &Arc<Code>, used: &Arc<Use>, part: Part) -> Option<Self> {
        let drops = code.drops();
        let is_ready = lease
            .instance
            .as_ref()
            .is_some_and(|it| it.is_ready_for(used, drops));
        (!is_ready).then(|| Self {
            code: Arc::clone(code),
            used: Arc::clone(used),
            part,
            drops,
        })
    }

    async fn start(&self, lease: &mut Lease) -> Result<(), Fault> {
        let since = Instant::now();
        let mut instance = self.code.start(self.part, &self.used).await?;
        instance.prepare(&self.used, self.drops).await?;
        self.used.telemetry.started_cold();
        lease.started(since);
        lease.instance = Some(instance);
        Ok(())
    }
}

#[cold]
fn no_instance() -> Fault {
    Fault {
        reason: FailureReason::Start,
        message: "there is no instance to call".to_owned(),
    }
}

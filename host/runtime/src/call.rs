//! One call of a guest on its way: it gets an instance ready, takes the exchange in, runs the guest, and brings the
//! exchange out again, also when it is given up in the middle. A connection counts as an exchange here.

use std::cell::Cell;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;
use weir_filter::{Exchange, FailureReason};

use crate::code::Code;
use crate::export::Part;
use crate::fault::Fault;
use crate::instance::Instance;
use crate::pool::{End, Lease};
use crate::state::Use;
use crate::work::Work;

/// A call of a component. Its lease comes back with its end, or when it is given up.
pub(crate) struct ComponentCall<A> {
    driving: Option<Driving<A>>,
    timeout: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

type Driving<A> = Pin<Box<dyn Future<Output = Driven<A>>>>;

/// How a call came out.
pub(crate) struct Driven<A> {
    pub(crate) exchange: Exchange,
    pub(crate) lease: Option<Lease>,
    pub(crate) result: Result<A, Fault>,
}

/// What an instance that is not warm, or does not know the configuration, needs. Others do without: these counts are
/// shared by all workers.
pub(crate) struct Unready {
    pub(crate) code: Arc<Code>,
    pub(crate) used: Arc<Use>,
    pub(crate) part: Part,
    pub(crate) drops: u64,
}

impl<A: 'static> ComponentCall<A> {
    pub(crate) fn new<W: Work<Answer = A>>(
        mut lease: Lease,
        unready: Option<Box<Unready>>,
        slot: u32,
        timeout: Duration,
        work: W,
        exchange: Exchange,
    ) -> Self {
        lease.begin();
        let visit = Visit {
            lease: Some(lease),
            exchange: Some(exchange),
            inside: false,
        };
        Self {
            driving: Some(Box::pin(drive(visit, unready, slot, work))),
            timeout,
            sleep: None,
        }
    }

    /// Goes on with the call until it is over or its wall time is.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Driven<A>> {
        let Some(driving) = &mut self.driving else {
            return Poll::Pending;
        };
        if let Poll::Ready(driven) = driving.as_mut().poll(cx) {
            self.driving = None;
            return Poll::Ready(driven);
        }
        self.poll_time(cx)
    }

    /// Only a call that waits pays for a timer.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<Driven<A>> {
        let timeout = self.timeout;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let Some((exchange, lease)) = self.give_up() else {
            return Poll::Pending;
        };
        Poll::Ready(Driven {
            exchange,
            lease: Some(lease),
            result: Err(Fault {
                reason: FailureReason::Timeout,
                message: format!("one call took longer than {timeout:?}"),
            }),
        })
    }

    /// Ends the guest where it stands. `None` when the call is over.
    pub(crate) fn give_up(&mut self) -> Option<(Exchange, Lease)> {
        drop(self.driving.take()?);
        LEFT.take()
    }
}

impl<A> Drop for ComponentCall<A> {
    /// Leaves nothing behind. Whoever has the lease to give back gives the call up before.
    fn drop(&mut self) {
        if self.driving.take().is_some() {
            drop(LEFT.take());
        }
    }
}

#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would keep each argument twice"
)]
fn drive<W: Work>(
    mut visit: Visit,
    unready: Option<Box<Unready>>,
    slot: u32,
    work: W,
) -> impl Future<Output = Driven<W::Answer>> {
    async move {
        // Boxed: it is rare, and larger than everything else here.
        if let Some(unready) = unready
            && let Err(fault) = Box::pin(visit.ready(&unready)).await
        {
            return visit.end(Err(fault));
        }
        let Some(instance) = visit.enter(slot) else {
            return visit.end(Err(no_instance()));
        };
        let result = instance.call(&work).await;
        visit.leave();
        visit.end(result)
    }
}

thread_local! {
    /// What a call leaves that is dropped in the middle: a future cannot answer then. [`ComponentCall::give_up`] drops
    /// it and looks here at once.
    static LEFT: Cell<Option<(Exchange, Lease)>> = const { Cell::new(None) };
}

/// An exchange visiting an instance. When it is dropped in the middle of a call, both can still be had.
struct Visit {
    lease: Option<Lease>,
    /// The instance's own exchange while ours is inside.
    exchange: Option<Exchange>,
    inside: bool,
}

impl Visit {
    /// Makes the instance ready, or a new one. An instance that was there before and fails at that is not this
    /// filter's problem.
    async fn ready(&mut self, unready: &Unready) -> Result<(), Fault> {
        let Some(lease) = &mut self.lease else {
            return Err(no_instance());
        };
        if let Some(instance) = &mut lease.instance {
            let Err(fault) = instance.prepare(&unready.used, unready.drops).await else {
                return Ok(());
            };
            instance.telemetry().recycled("fault");
            lease.instance = None;
            if lease.is_kept {
                // Another instance knows nothing of this exchange.
                return Err(fault);
            }
        }
        let started = unready.start(lease).await;
        if started.as_ref().is_err_and(Fault::is_of_plugin) {
            lease.end = End::Fault;
        }
        started
    }

    fn enter(&mut self, slot: u32) -> Option<&mut Instance> {
        let instance = self.lease.as_mut()?.instance.as_deref_mut()?;
        instance.enter(slot, self.exchange.as_mut()?);
        self.inside = true;
        Some(instance)
    }

    fn leave(&mut self) {
        let instance = self.lease.as_mut().and_then(|it| it.instance.as_deref_mut());
        if let (Some(instance), Some(exchange)) = (instance, &mut self.exchange)
            && mem::take(&mut self.inside)
        {
            instance.swap(exchange);
        }
    }

    fn end<A>(mut self, result: Result<A, Fault>) -> Driven<A> {
        let mut lease = self.lease.take();
        if let Some(lease) = &mut lease
            && let Some(instance) = &lease.instance
        {
            lease.end = match (&result, instance.worn()) {
                (Err(_), _) => End::Fault,
                (Ok(_), Some(worn)) => End::Worn(worn),
                (Ok(_), None) => End::Well,
            };
        }
        Driven {
            exchange: self.exchange.take().unwrap_or_default(),
            lease,
            result,
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.leave();
        if let Some(lease) = self.lease.take() {
            LEFT.set(Some((self.exchange.take().unwrap_or_default(), lease)));
        }
    }
}

impl Unready {
    /// What the instance of a lease needs before a call of `used`; `None` when it is ready.
    pub(crate) fn of(lease: &Lease, code: &Arc<Code>, used: &Arc<Use>, part: Part) -> Option<Box<Self>> {
        let drops = code.drops();
        let is_ready = lease
            .instance
            .as_ref()
            .is_some_and(|it| it.is_ready_for(used, drops));
        (!is_ready).then(|| {
            Box::new(Self {
                code: Arc::clone(code),
                used: Arc::clone(used),
                part,
                drops,
            })
        })
    }

    async fn start(&self, lease: &mut Lease) -> Result<(), Fault> {
        let since = Instant::now();
        let mut instance = self.code.start(self.part, &self.used).await?;
        instance.prepare(&self.used, self.drops).await?;
        self.used.telemetry.started_cold();
        lease.start = Some(since.elapsed());
        lease.instance = Some(Box::new(instance));
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

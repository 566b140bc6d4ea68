//! One exchange on its way: its plan, its place in it, and the state that phases and bodies share.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use weir_filter::{
    BodyOutcome, Chain, Chunk, Direction, Exchange, FilterError, HandlerError, HeadOutcome, Phases, Reason,
    Reply, Run, StepIndex, TrailersOutcome,
};

use crate::body::BodyError;
use crate::connection::Downstream;
use crate::plan::{Place, PlanListener, PlanRoute};
use crate::worker::WorkerPlan;

/// Shared by the request function and the bodies of one exchange, all on one worker. When the last
/// holder is gone the exchange is over and its log phase runs.
pub(crate) struct Flow {
    plan: Rc<WorkerPlan>,
    place: Option<Place>,
    downstream: Rc<Downstream>,
    run: RefCell<Run>,
    interruption: RefCell<Option<Box<Interruption>>>,
    /// What of the request a filter has, or had until the response began.
    held: RefCell<Held>,
    /// Body bytes seen; noted in the exchange before a filter can ask.
    received: Cell<u64>,
    sent: Cell<u64>,
}

/// A piece of the request that a filter holds.
#[derive(Default)]
enum Held {
    #[default]
    Nothing,
    Chunk(StepIndex, Chunk),
    /// The filter is done; whoever brought the chunk has not asked yet.
    Passed(StepIndex, Bytes),
    Trailers,
}

/// Why a filter ended an exchange from a body or trailers phase.
pub(crate) enum Interruption {
    Reply(Box<Reply>),
    Failed(FilterError),
}

/// A filter ended the exchange; the reason waits in the flow.
#[derive(Debug, thiserror::Error)]
#[error("a filter ended the exchange")]
pub(crate) struct Interrupted;

impl Flow {
    pub(crate) fn new(
        plan: Rc<WorkerPlan>,
        place: Option<Place>,
        mut exchange: Exchange,
        downstream: &Rc<Downstream>,
    ) -> Rc<Self> {
        downstream.exchange_started();
        let run = match place.and_then(|place| plan.plan().chain(place)) {
            Some(chain) => {
                if chain.makes_callouts() {
                    exchange.callouts = Some(downstream.worker.callouts());
                }
                chain.start(exchange)
            }
            None => Run::without_chain(exchange),
        };
        Rc::new(Self {
            plan,
            place,
            downstream: Rc::clone(downstream),
            run: RefCell::new(run),
            interruption: RefCell::default(),
            held: RefCell::default(),
            received: Cell::new(0),
            sent: Cell::new(0),
        })
    }

    pub(crate) fn downstream(&self) -> &Downstream {
        &self.downstream
    }

    pub(crate) fn plan(&self) -> &WorkerPlan {
        &self.plan
    }

    pub(crate) fn listener(&self) -> Option<&PlanListener> {
        self.plan.plan().listener(self.place?)
    }

    pub(crate) fn route(&self) -> Option<&PlanRoute> {
        self.plan.plan().route(self.place?)
    }

    /// True when no filter wants any of these phases.
    pub(crate) fn skips(&self, phases: Phases) -> bool {
        self.chain().is_none_or(|chain| chain.skips(phases))
    }

    /// Counts body bytes of one direction.
    pub(crate) fn count(&self, direction: Direction, bytes: usize) {
        let total = match direction {
            Direction::Request => &self.received,
            Direction::Response => &self.sent,
        };
        total.set(total.get() + bytes as u64);
    }

    /// Waits until the filter that holds a piece of the request is done with it, and no call has the exchange. After
    /// each wait for a body this comes before [`Flow::with`], which would abandon such a call. Nothing of a response
    /// was passed on yet: what the filter says still counts.
    ///
    /// # Errors
    /// When the filter ends the exchange; the reason waits in [`Flow::interruption`].
    pub(crate) async fn request_released(&self) -> Result<(), Interrupted> {
        poll_fn(|cx| self.poll_released(cx)).await
    }

    /// Runs `act` on the exchange. A call that has it is abandoned, and what it held with it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Exchange) -> T) -> T {
        let mut run = self.run.borrow_mut();
        if run.idle_exchange().is_none() {
            self.held.take();
        }
        act(run.exchange())
    }

    /// Runs the request-head phases from where they came to.
    pub(crate) async fn request_head(&self) -> HeadOutcome {
        let Some(chain) = self.chain() else {
            return HeadOutcome::Done;
        };
        poll_fn(|cx| chain.poll_request_head(&mut self.run.borrow_mut(), cx)).await
    }

    /// Runs the response-head phases from where they came to.
    pub(crate) async fn response_head(&self) -> HeadOutcome {
        let Some(chain) = self.chain() else {
            return HeadOutcome::Done;
        };
        poll_fn(|cx| chain.poll_response_head(&mut self.run.borrow_mut(), cx)).await
    }

    /// Passes one chunk through one filter. Ask again with the same chunk until it is ready; the reason of an
    /// interruption waits in [`Flow::interruption`].
    pub(crate) fn poll_chunk(
        &self,
        direction: Direction,
        step: StepIndex,
        chunk: &Chunk,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Interrupted>> {
        let Some(chain) = self.chain() else {
            return Poll::Ready(Ok(chunk.bytes.clone()));
        };
        let mut waited = false;
        if direction == Direction::Response {
            ready!(self.poll_released(cx))?;
        } else {
            match self.held.take() {
                Held::Passed(of, bytes) if of == step => return Poll::Ready(Ok(bytes)),
                held => waited = matches!(held, Held::Chunk(..)),
            }
        }
        let mut run = self.run.borrow_mut();
        self.note_counts(&mut run);
        let Poll::Ready(outcome) = chain.poll_body(&mut run, direction, step, chunk, cx) else {
            if direction == Direction::Request {
                self.held.replace(Held::Chunk(step, chunk.clone()));
            }
            return Poll::Pending;
        };
        if waited {
            // The endpoint's time begins when it gets the piece.
            self.downstream.progressed();
        }
        Poll::Ready(match outcome {
            BodyOutcome::Pass(bytes) => Ok(bytes),
            BodyOutcome::Reply(reply) => self.interrupt(Interruption::Reply(reply)),
            BodyOutcome::Failed(error) => self.interrupt(Interruption::Failed(error)),
        })
    }

    /// Passes the trailers of a message, which lie in the exchange, through every filter that wants them.
    pub(crate) fn poll_trailers(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Interrupted>> {
        let Some(chain) = self.chain() else {
            return Poll::Ready(Ok(()));
        };
        if direction == Direction::Response {
            ready!(self.poll_released(cx))?;
        }
        let Poll::Ready(outcome) = chain.poll_trailers(&mut self.run.borrow_mut(), direction, cx) else {
            if direction == Direction::Request {
                self.held.replace(Held::Trailers);
            }
            return Poll::Pending;
        };
        if direction == Direction::Request {
            self.held.take();
        }
        Poll::Ready(match outcome {
            TrailersOutcome::Done => Ok(()),
            TrailersOutcome::Reply(reply) => self.interrupt(Interruption::Reply(reply)),
            TrailersOutcome::Failed(error) => self.interrupt(Interruption::Failed(error)),
        })
    }

    /// Ready when no filter call has the exchange.
    pub(crate) fn poll_turn(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.run.borrow_mut().poll_turn(cx)
    }

    /// Applies a filter's failure mode to a body larger than its plan's limit.
    pub(crate) fn body_too_large(&self, step: StepIndex, limit: u64) -> Result<(), FilterError> {
        match self.chain() {
            Some(chain) => chain.body_too_large(step, &mut self.run.borrow_mut(), limit),
            None => Ok(()),
        }
    }

    /// Takes the reason why a body or trailers phase ended the exchange.
    pub(crate) fn interruption(&self) -> Option<Interruption> {
        self.interruption.borrow_mut().take().map(|it| *it)
    }

    /// Notes why a response ended in the middle of its body.
    pub(crate) fn broken_off(&self, error: &BodyError) {
        let (reason, detail) = match self.interruption() {
            Some(Interruption::Failed(error)) => (Reason::Filter(error.reason), error.filter),
            Some(Interruption::Reply(_)) => (Reason::FilterReply, "too late to send it".to_owned()),
            None => match error.downcast_ref() {
                Some(HandlerError::Failed(error)) => (Reason::Filter(error.reason), error.filter.clone()),
                Some(HandlerError::RequestBody(_)) => (Reason::DownstreamReset, error.to_string()),
                None => (Reason::UpstreamReset, error.to_string()),
            },
        };
        self.with(|exchange| {
            exchange.facts.reason = Some(reason);
            exchange.facts.reason_detail = Some(detail);
        });
    }

    /// Drives the call that holds a piece of the request. Its result must not wait in the run, which keeps one for
    /// both directions, while a call of the response goes on.
    fn poll_released(&self, cx: &mut Context<'_>) -> Poll<Result<(), Interrupted>> {
        match self.held.take() {
            Held::Nothing => Poll::Ready(Ok(())),
            Held::Chunk(step, chunk) => {
                let passed = ready!(self.poll_chunk(Direction::Request, step, &chunk, cx))?;
                self.held.replace(Held::Passed(step, passed));
                Poll::Ready(Ok(()))
            }
            held @ Held::Passed(..) => {
                self.held.replace(held);
                Poll::Ready(Ok(()))
            }
            Held::Trailers => self.poll_trailers(Direction::Request, cx),
        }
    }

    fn interrupt<T>(&self, interruption: Interruption) -> Result<T, Interrupted> {
        *self.interruption.borrow_mut() = Some(Box::new(interruption));
        Err(Interrupted)
    }

    /// Brings the exchange's counts up to date, unless a call has it.
    fn note_counts(&self, run: &mut Run) {
        if let Some(exchange) = run.idle_exchange() {
            exchange.facts.bytes_received = self.received.get();
            exchange.facts.bytes_sent = self.sent.get();
        }
    }

    fn chain(&self) -> Option<&Chain> {
        self.plan.plan().chain(self.place?)
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.downstream.exchange_ended();
        // A call that still waits has lost its message.
        self.run.get_mut().exchange();
        if self.skips(Phases::LOG) {
            let headers = mem::take(&mut self.run.get_mut().exchange().request.headers);
            self.downstream.worker.recycle(headers);
            return;
        }
        let exchange = self.run.get_mut().exchange();
        exchange.facts.bytes_received = self.received.get();
        exchange.facts.bytes_sent = self.sent.get();
        let mut log = LogPhases {
            plan: Rc::clone(&self.plan),
            place: self.place,
            downstream: Rc::clone(&self.downstream),
            run: self.run.get_mut().take(),
        };
        // Most logging does not wait. What does goes on by itself: the client has its answer.
        if Pin::new(&mut log)
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
        {
            let worker = Rc::clone(&self.downstream.worker);
            worker.endings.spawn_local(log);
        }
    }
}

/// The end of an exchange: its log phases, then what can be used again goes back to the worker.
struct LogPhases {
    plan: Rc<WorkerPlan>,
    place: Option<Place>,
    downstream: Rc<Downstream>,
    run: Run,
}

impl Future for LogPhases {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let chain = this.place.and_then(|place| this.plan.plan().chain(place));
        if let Some(chain) = chain.filter(|chain| !chain.skips(Phases::LOG)) {
            ready!(chain.poll_log(&mut this.run, cx));
        }
        let headers = mem::take(&mut this.run.exchange().request.headers);
        this.downstream.worker.recycle(headers);
        Poll::Ready(())
    }
}

//! One exchange on its way through a chain: where it is, and the call that has it at the moment.

use std::fmt;
use std::mem;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use crate::{
    Action, Call, Exchange, Filter, FilterError, Finished, Kept, Phase, Progress, Reply, StepIndex, Waiting,
};

/// Which message is passing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The client's.
    Request,
    /// The upstream's, or a reply made here.
    Response,
}

/// The state of one exchange in its chain.
///
/// Request and response may be under way at once, but only one call has the exchange at a time: whoever wants it
/// next drives the call before it to its end.
pub struct Run {
    /// Away while a call waits.
    exchange: Option<Exchange>,
    steps: SmallVec<[StepState; 16]>,
    pub(crate) place: Place,
    kept: Vec<(StepIndex, Kept)>,
    busy: Option<Busy>,
    /// Results that the other direction brought about, for the one they belong to. Rare, so not in here.
    settled: [Option<Box<(StepIndex, Settled)>>; 2],
}

/// How far the head and trailers phases came: the next step forward, or the number of steps left backward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) request_head: usize,
    pub(crate) request_trailers: usize,
    pub(crate) response_head: usize,
    pub(crate) response_trailers: usize,
    pub(crate) log: usize,
}

/// What a finished call left.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) result: Result<Action, FilterError>,
    pub(crate) reply: Option<Box<Reply>>,
    pub(crate) body: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepState {
    /// The request has not passed it.
    Ahead,
    /// It passed the request on.
    Passed,
    /// It failed open: left out for the rest of the exchange.
    LeftOut,
}

struct Busy {
    direction: Direction,
    step: StepIndex,
    call: Box<dyn Waiting>,
    /// Whoever waits for it in its own direction.
    waker: Waker,
}

impl Run {
    pub(crate) fn new(exchange: Exchange, steps: usize) -> Self {
        Self {
            exchange: Some(exchange),
            steps: smallvec![StepState::Ahead; steps],
            place: Place {
                request_head: 0,
                request_trailers: 0,
                response_head: steps,
                response_trailers: steps,
                log: 0,
            },
            kept: Vec::new(),
            busy: None,
            settled: [None, None],
        }
    }

    /// An exchange without a chain.
    pub fn without_chain(exchange: Exchange) -> Self {
        Self::new(exchange, 0)
    }

    /// Takes the state of the exchange, for its end. What is left has none.
    pub fn take(&mut self) -> Self {
        let nothing = Self {
            exchange: None,
            steps: SmallVec::new(),
            place: self.place,
            kept: Vec::new(),
            busy: None,
            settled: [None, None],
        };
        mem::replace(self, nothing)
    }

    /// The exchange. A call that still waits is abandoned: wait for [`Run::poll_turn`] first where it must not be.
    pub fn exchange(&mut self) -> &mut Exchange {
        if let Some(busy) = self.busy.take() {
            self.exchange = Some(busy.call.abandon());
        }
        self.exchange.get_or_insert_default()
    }

    /// The exchange, unless a call has it.
    pub fn idle_exchange(&mut self) -> Option<&mut Exchange> {
        self.exchange.as_mut()
    }

    /// Ready when no call has the exchange. A call of either direction is driven on.
    pub fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(busy) = &mut self.busy else {
            return Poll::Ready(());
        };
        let finished = ready!(busy.call.poll(cx));
        if let Some(Busy {
            direction,
            step,
            waker,
            ..
        }) = self.busy.take()
        {
            let settled = self.settle(step, finished);
            *self.slot(direction) = Some(Box::new((step, settled)));
            waker.wake();
        }
        Poll::Ready(())
    }

    /// Runs one phase of one filter.
    pub(crate) fn poll_call(
        &mut self,
        filter: &dyn Filter,
        direction: Direction,
        step: StepIndex,
        phase: impl FnOnce() -> Phase,
        cx: &mut Context<'_>,
    ) -> Poll<Settled> {
        if (self.busy.is_some() || self.slot(direction).is_some())
            && let Some(settled) = ready!(self.poll_earlier(direction, step, cx))
        {
            return Poll::Ready(settled);
        }
        let mut exchange = self.exchange.take().unwrap_or_default();
        exchange.begin(step);
        let kept = self.take_kept(step);
        let call = Call {
            phase: phase(),
            exchange,
            kept,
        };
        match filter.call(call, cx) {
            Progress::Done(finished) => Poll::Ready(self.settle(step, finished)),
            Progress::Waiting(call) => {
                self.busy = Some(Busy {
                    direction,
                    step,
                    call,
                    waker: cx.waker().clone(),
                });
                Poll::Pending
            }
        }
    }

    pub(crate) fn passed(&self, StepIndex(at): StepIndex) -> bool {
        self.steps.get(at) == Some(&StepState::Passed)
    }

    pub(crate) fn set(&mut self, StepIndex(at): StepIndex, state: StepState) {
        if let Some(slot) = self.steps.get_mut(at) {
            *slot = state;
        }
    }

    /// Drives the call before this one. `None` when the exchange is free, else the result that this call has had
    /// already.
    #[cold]
    fn poll_earlier(
        &mut self,
        direction: Direction,
        step: StepIndex,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Settled>> {
        let is_mine = |of: StepIndex| of == step;
        if let Some(settled) = self.slot(direction).take_if(|it| is_mine(it.0)) {
            return Poll::Ready(Some(settled.1));
        }
        match &mut self.busy {
            // Its message was given up, and the call with it.
            Some(busy) if busy.direction == direction && busy.step != step => {
                self.exchange();
            }
            Some(busy) => {
                if busy.direction == direction && !busy.waker.will_wake(cx.waker()) {
                    busy.waker = cx.waker().clone();
                }
                ready!(self.poll_turn(cx));
            }
            None => {}
        }
        // What is left there for another step belongs to a message that was given up.
        let mine = self.slot(direction).take().filter(|it| is_mine(it.0));
        Poll::Ready(mine.map(|it| it.1))
    }

    fn slot(&mut self, direction: Direction) -> &mut Option<Box<(StepIndex, Settled)>> {
        let [request, response] = &mut self.settled;
        match direction {
            Direction::Request => request,
            Direction::Response => response,
        }
    }

    fn settle(&mut self, step: StepIndex, finished: Finished) -> Settled {
        let Finished {
            mut exchange,
            kept,
            result,
        } = finished;
        let settled = Settled {
            result,
            reply: exchange.take_reply(),
            body: exchange.take_body(),
        };
        self.exchange = Some(exchange);
        if let Some(kept) = kept {
            self.kept.push((step, kept));
        }
        settled
    }

    fn take_kept(&mut self, step: StepIndex) -> Option<Kept> {
        let at = self.kept.iter().position(|(of, _)| *of == step)?;
        Some(self.kept.swap_remove(at).1)
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("exchange", &self.exchange)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

//! One connection on its way through a chain: how far each direction is, and the call that has it at the moment.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::chain::ConnectionStep;
use super::{
    Connection, ConnectionAction, ConnectionCall, ConnectionEvent, ConnectionEvents, ConnectionFinished,
    ConnectionProgress, ConnectionWaiting,
};
use crate::{Chunk, Direction, Facts, FilterError, Kept, StepIndex};

/// Why a chain closes its connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionClosed {
    /// A filter said so.
    #[error("filter {0} closed the connection")]
    Filter(String),
    /// A filter failed closed.
    #[error(transparent)]
    Failed(FilterError),
}

/// The state of one connection in its chain.
///
/// Both directions may be under way at once, but only one call has the connection at a time: whoever wants it next
/// drives the call before it to its end.
pub struct ConnectionRun {
    /// Away while a call waits.
    connection: Option<Connection>,
    parts: SmallVec<[Part; 4]>,
    /// Filters that were told of the opening, and of the close.
    pub(super) opened: usize,
    pub(super) closed: usize,
    downstream: Passage,
    upstream: Passage,
    kept: Vec<(StepIndex, Kept)>,
    busy: Option<Busy>,
    /// Results that another lane brought about, one at most for each lane they belong to. Rare, and seldom two.
    settled: Vec<(Lane, Settled)>,
}

/// How far the chunk of one direction is.
#[derive(Debug, Default)]
pub(super) struct Passage {
    /// Filters that it has passed.
    pub(super) done: usize,
    /// What they made of it, if anything.
    pub(super) bytes: Option<Bytes>,
}

/// Whether a filter takes part in a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It has not heard of it.
    Not,
    Takes,
    /// It failed.
    LeftOut,
}

/// What may be under way at once. Within a lane, one event follows the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Opening,
    Downstream,
    Upstream,
    Closing,
}

/// What a finished call left.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) result: Result<ConnectionAction, FilterError>,
    pub(super) data: Option<Bytes>,
}

struct Busy {
    lane: Lane,
    step: StepIndex,
    call: Box<dyn ConnectionWaiting>,
    /// Whoever waits for it in its own lane.
    waker: Waker,
}

impl Lane {
    pub(super) const fn of(direction: Direction) -> Self {
        match direction {
            Direction::Request => Self::Downstream,
            Direction::Response => Self::Upstream,
        }
    }

    /// The event of a chunk in this lane.
    pub(super) fn event(self, bytes: Bytes, end: bool) -> ConnectionEvent {
        let chunk = Chunk { bytes, end };
        match self {
            Self::Upstream => ConnectionEvent::Upstream(chunk),
            _ => ConnectionEvent::Downstream(chunk),
        }
    }

    pub(super) const fn flag(self) -> ConnectionEvents {
        match self {
            Self::Opening => ConnectionEvents::empty(),
            Self::Downstream => ConnectionEvents::DOWNSTREAM_DATA,
            Self::Upstream => ConnectionEvents::UPSTREAM_DATA,
            Self::Closing => ConnectionEvents::CLOSE,
        }
    }
}

impl ConnectionRun {
    pub(super) fn new(connection: Connection, steps: usize) -> Self {
        Self {
            connection: Some(connection),
            parts: smallvec![Part::Not; steps],
            opened: 0,
            closed: 0,
            downstream: Passage::default(),
            upstream: Passage::default(),
            kept: Vec::new(),
            busy: None,
            settled: Vec::new(),
        }
    }

    /// What is known of the connection, unless a call has it.
    pub fn facts(&self) -> Option<&Facts> {
        self.connection.as_ref().map(Connection::facts)
    }

    pub(super) fn passage(&mut self, direction: Direction) -> &mut Passage {
        match direction {
            Direction::Request => &mut self.downstream,
            Direction::Response => &mut self.upstream,
        }
    }

    pub(super) fn takes_part(&self, StepIndex(at): StepIndex) -> bool {
        self.parts.get(at) == Some(&Part::Takes)
    }

    pub(super) fn set(&mut self, StepIndex(at): StepIndex, part: Part) {
        if let Some(slot) = self.parts.get_mut(at) {
            *slot = part;
        }
    }

    /// Ends a call that waits, unless it is about the close.
    pub(super) fn give_up_data(&mut self) {
        if let Some(busy) = self.busy.take_if(|busy| busy.lane != Lane::Closing) {
            self.connection = Some(busy.call.abandon());
        }
        self.settled.retain(|(lane, _)| *lane == Lane::Closing);
    }

    /// Hands one event to one filter.
    pub(super) fn poll_call(
        &mut self,
        step: &ConnectionStep,
        lane: Lane,
        at: StepIndex,
        event: impl FnOnce() -> ConnectionEvent,
        cx: &mut Context<'_>,
    ) -> Poll<Settled> {
        // Before anything else is driven on: what this lane waited for may be over already.
        if let Some(settled) = self.take_settled(lane) {
            return Poll::Ready(settled);
        }
        if let Some(settled) = ready!(self.poll_busy(lane, cx)) {
            return Poll::Ready(settled);
        }
        let mut connection = self.connection.take().unwrap_or_default();
        connection.begin(at, &step.listener);
        let call = ConnectionCall {
            event: event(),
            connection,
            kept: self.take_kept(at),
        };
        match step.filter.call(call, cx) {
            ConnectionProgress::Done(finished) => Poll::Ready(self.settle(at, finished)),
            ConnectionProgress::Waiting(call) => {
                self.busy = Some(Busy {
                    lane,
                    step: at,
                    call,
                    waker: cx.waker().clone(),
                });
                Poll::Pending
            }
        }
    }

    /// Drives the call that has the connection, whichever lane it is of. Answers its result to its own lane, and keeps
    /// it for any other. Ready without one when the connection is free.
    fn poll_busy(&mut self, lane: Lane, cx: &mut Context<'_>) -> Poll<Option<Settled>> {
        let Some(busy) = &mut self.busy else {
            return Poll::Ready(None);
        };
        if busy.lane == lane && !busy.waker.will_wake(cx.waker()) {
            busy.waker = cx.waker().clone();
        }
        let finished = ready!(busy.call.poll(cx));
        let Some(over) = self.busy.take() else {
            return Poll::Ready(None);
        };
        let settled = self.settle(over.step, finished);
        if over.lane == lane {
            return Poll::Ready(Some(settled));
        }
        self.settled.push((over.lane, settled));
        over.waker.wake();
        Poll::Ready(None)
    }

    fn take_settled(&mut self, lane: Lane) -> Option<Settled> {
        let at = self.settled.iter().position(|(of, _)| *of == lane)?;
        Some(self.settled.swap_remove(at).1)
    }

    fn settle(&mut self, step: StepIndex, finished: ConnectionFinished) -> Settled {
        let ConnectionFinished {
            mut connection,
            kept,
            result,
        } = finished;
        let data = connection.take_data();
        self.connection = Some(connection);
        if let Some(kept) = kept {
            self.kept.push((step, kept));
        }
        Settled { result, data }
    }

    fn take_kept(&mut self, step: StepIndex) -> Option<Kept> {
        let at = self.kept.iter().position(|(of, _)| *of == step)?;
        Some(self.kept.swap_remove(at).1)
    }
}

impl Connection {
    /// Turns to the filter of another call.
    fn begin(&mut self, step: StepIndex, listener: &Arc<str>) {
        self.0.begin(step);
        if self.0.facts.listener.as_ref() != Some(listener) {
            self.0.facts.listener = Some(Arc::clone(listener));
        }
    }

    fn take_data(&mut self) -> Option<Bytes> {
        self.0.take_body()
    }
}

impl fmt::Debug for ConnectionRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionRun")
            .field("connection", &self.connection)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

//! Runs the connection filters of a socket over one connection.
//!
//! Bytes from the client pass the filters forward, bytes to it backward. The executor never waits itself: a call that
//! waits makes it pending.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use weir_model::FailureMode;

use super::run::{ConnectionClosed, ConnectionRun, Lane, Part};
use super::{Connection, ConnectionAction, ConnectionEvent, ConnectionEvents, ConnectionFilter};
use crate::{Chunk, Direction, FilterError, StepIndex};

/// A connection filter at its place.
#[derive(Clone, Debug)]
pub struct ConnectionStep {
    /// What runs.
    pub filter: Arc<dyn ConnectionFilter>,
    /// What its failure does: `Closed` closes the connection, `Open` leaves this filter out of the rest of it.
    pub failure_mode: FailureMode,
    /// The listener whose chain it stands in; the filter reads it as its connection's listener.
    pub listener: Arc<str>,
}

/// An ordered, immutable list of connection filters.
#[derive(Clone, Debug, Default)]
pub struct ConnectionChain {
    steps: Vec<ConnectionStep>,
    events: ConnectionEvents,
    makes_callouts: bool,
}

impl ConnectionChain {
    /// A chain of these steps, in the order in which bytes from the client pass them.
    pub fn new(steps: Vec<ConnectionStep>) -> Self {
        let events = steps
            .iter()
            .fold(ConnectionEvents::empty(), |all, step| all | step.filter.events());
        let makes_callouts = steps.iter().any(|step| step.filter.makes_callouts());
        Self {
            steps,
            events,
            makes_callouts,
        }
    }

    /// True without filters: connections need no chain at all.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The events that at least one filter wants.
    pub fn events(&self) -> ConnectionEvents {
        self.events
    }

    /// True when a filter may ask for backends.
    pub fn makes_callouts(&self) -> bool {
        self.makes_callouts
    }

    /// Starts a connection through this chain.
    pub fn start(&self, connection: Connection) -> ConnectionRun {
        ConnectionRun::new(connection, self.steps.len())
    }

    /// Tells the filters of the new connection. Ask again until it is ready; nothing may be read before.
    ///
    /// # Errors
    /// When a filter closes the connection, or fails closed.
    pub fn poll_open(
        &self,
        run: &mut ConnectionRun,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ConnectionClosed>> {
        while let Some(step) = self.steps.get(run.opened) {
            let at = StepIndex(run.opened);
            let event = || ConnectionEvent::Opened;
            let settled = ready!(run.poll_call(step, Lane::Opening, at, event, cx));
            run.opened += 1;
            run.set(at, Part::Takes);
            self.decide(run, at, step, settled.result)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Gives the filters a chunk and answers what is left of it. Ask again with the same chunk until it is ready.
    ///
    /// # Errors
    /// When a filter closes the connection, or fails closed.
    pub fn poll_data(
        &self,
        run: &mut ConnectionRun,
        direction: Direction,
        chunk: &Chunk,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, ConnectionClosed>> {
        let lane = Lane::of(direction);
        while let Some((at, step)) = self.nth(direction, run.passage(direction).done) {
            let bytes = run.passage(direction).bytes.clone();
            let bytes = bytes.unwrap_or_else(|| chunk.bytes.clone());
            // A filter may take every byte of a chunk; then there is nothing to hand on.
            let is_something = chunk.end || !bytes.is_empty();
            if is_something && run.takes_part(at) && step.filter.events().contains(lane.flag()) {
                let event = || lane.event(bytes, chunk.end);
                let settled = ready!(run.poll_call(step, lane, at, event, cx));
                if self.decide(run, at, step, settled.result)? {
                    let passage = run.passage(direction);
                    passage.bytes = settled.data.or_else(|| passage.bytes.take());
                }
            }
            run.passage(direction).done += 1;
        }
        let passed = std::mem::take(run.passage(direction));
        Poll::Ready(Ok(passed.bytes.unwrap_or_else(|| chunk.bytes.clone())))
    }

    /// Tells the filters that the connection is closed: those that were told that it opened and have not failed. A
    /// call that still waits is given up; a failure is reported and stops nobody.
    pub fn poll_close(&self, run: &mut ConnectionRun, cx: &mut Context<'_>) -> Poll<()> {
        run.give_up_data();
        while let Some(step) = self.steps.get(run.closed) {
            let at = StepIndex(run.closed);
            if run.takes_part(at) && step.filter.events().contains(ConnectionEvents::CLOSE) {
                let event = || ConnectionEvent::Closed;
                let settled = ready!(run.poll_call(step, Lane::Closing, at, event, cx));
                if let Err(error) = settled.result {
                    tracing::warn!(filter = error.filter, reason = %error.reason, error = error.message, "a connection filter failed at the close");
                }
            }
            run.closed += 1;
        }
        Poll::Ready(())
    }

    /// The step that a chunk passes after `done` others.
    fn nth(&self, direction: Direction, done: usize) -> Option<(StepIndex, &ConnectionStep)> {
        let at = match direction {
            Direction::Request => done,
            Direction::Response => self.steps.len().checked_sub(done)?.checked_sub(1)?,
        };
        Some((StepIndex(at), self.steps.get(at)?))
    }

    /// What an event came to at one filter: `Ok(true)` when it said to go on, `Ok(false)` when it is left out.
    fn decide(
        &self,
        run: &mut ConnectionRun,
        at: StepIndex,
        step: &ConnectionStep,
        result: Result<ConnectionAction, FilterError>,
    ) -> Result<bool, ConnectionClosed> {
        match result {
            Ok(ConnectionAction::Next) => Ok(true),
            Ok(ConnectionAction::Close) => Err(ConnectionClosed::Filter(step.filter.name().to_owned())),
            Err(error) => {
                tracing::warn!(
                    filter = error.filter,
                    reason = %error.reason,
                    failure_mode = %step.failure_mode,
                    error = error.message,
                    "a connection filter failed"
                );
                run.set(at, Part::LeftOut);
                match step.failure_mode {
                    FailureMode::Open => Ok(false),
                    FailureMode::Closed => Err(ConnectionClosed::Failed(error)),
                }
            }
        }
    }
}

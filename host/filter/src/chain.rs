//! Runs the filters of a chain over one exchange.
//!
//! The request phases go forward, the response phases backward over the filters that passed the request
//! on. Where a filter wants a body, the executor hands the plan back and is asked again afterwards. It
//! never waits itself: a call that waits makes it pending.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use weir_model::FailureMode;

use crate::run::{Settled, StepState};
use crate::{
    Action, BodyPlan, Chunk, Direction, Exchange, FailureReason, Filter, FilterError, Phase, Phases, Reply,
    Run,
};

/// A filter at its place.
#[derive(Clone, Debug)]
pub struct Step {
    /// What runs.
    pub filter: Arc<dyn Filter>,
    /// What its failure does.
    pub failure_mode: FailureMode,
}

/// The position of a step in its chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepIndex(pub usize);

/// An ordered, immutable list of filters.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    steps: Vec<Step>,
    phases: Phases,
    makes_callouts: bool,
}

/// Where a head phase came to.
#[derive(Debug)]
pub enum HeadOutcome {
    /// Every filter has run.
    Done,
    /// This filter wants the body; resume after it.
    Body(StepIndex, BodyPlan),
    /// A filter replied.
    Reply(StepIndex, Box<Reply>),
    /// A filter failed closed.
    Failed(StepIndex, FilterError),
}

/// What became of a body or chunk at one filter.
#[derive(Debug)]
pub enum BodyOutcome {
    /// Pass these bytes on.
    Pass(Bytes),
    /// The filter replied.
    Reply(Box<Reply>),
    /// The filter failed closed.
    Failed(FilterError),
}

/// Where the trailers phases came to.
#[derive(Debug)]
pub enum TrailersOutcome {
    /// Every filter has run.
    Done,
    /// A filter replied.
    Reply(Box<Reply>),
    /// A filter failed closed.
    Failed(FilterError),
}

impl Chain {
    /// A chain of these steps, in request order.
    pub fn new(steps: Vec<Step>) -> Self {
        let phases = steps
            .iter()
            .fold(Phases::empty(), |all, step| all | step.filter.phases());
        let makes_callouts = steps.iter().any(|step| step.filter.makes_callouts());
        Self {
            steps,
            phases,
            makes_callouts,
        }
    }

    /// Starts an exchange through this chain.
    pub fn start(&self, exchange: Exchange) -> Run {
        Run::new(exchange, self.steps.len())
    }

    /// True when no filter wants any of these phases.
    pub fn skips(&self, phases: Phases) -> bool {
        !self.phases.intersects(phases)
    }

    /// True when a filter may ask for backends.
    pub fn makes_callouts(&self) -> bool {
        self.makes_callouts
    }

    /// Runs request-head phases from where they came to. Call again after a body was handed over.
    pub fn poll_request_head(&self, run: &mut Run, cx: &mut Context<'_>) -> Poll<HeadOutcome> {
        while let Some(step) = self.steps.get(run.place.request_head) {
            let at = StepIndex(run.place.request_head);
            if !step.wants(Phases::REQUEST_HEAD) {
                run.place.request_head += 1;
                run.set(at, StepState::Passed);
                continue;
            }
            let phase = || Phase::RequestHead;
            let settled = ready!(run.poll_call(&*step.filter, Direction::Request, at, phase, cx));
            run.place.request_head += 1;
            run.set(at, StepState::Passed);
            if let Some(outcome) = self.head(at, step, settled, run, Phases::REQUEST_BODY) {
                if matches!(outcome, HeadOutcome::Reply(..) | HeadOutcome::Failed(..)) {
                    run.set(at, StepState::Ahead);
                }
                return Poll::Ready(outcome);
            }
        }
        Poll::Ready(HeadOutcome::Done)
    }

    /// Runs response-head phases backward from where they came to. Call again after a body was handed over, or a
    /// reply took the response's place.
    pub fn poll_response_head(&self, run: &mut Run, cx: &mut Context<'_>) -> Poll<HeadOutcome> {
        while let Some((at, step)) = self.before(run.place.response_head) {
            if !run.passed(at) || !step.wants(Phases::RESPONSE_HEAD) {
                run.place.response_head -= 1;
                continue;
            }
            let phase = || Phase::ResponseHead;
            let settled = ready!(run.poll_call(&*step.filter, Direction::Response, at, phase, cx));
            run.place.response_head -= 1;
            if let Some(outcome) = self.head(at, step, settled, run, Phases::RESPONSE_BODY) {
                return Poll::Ready(outcome);
            }
        }
        Poll::Ready(HeadOutcome::Done)
    }

    /// Gives one filter a chunk of a body, or the whole of it. Ask again with the same chunk until it is ready.
    pub fn poll_body(
        &self,
        run: &mut Run,
        direction: Direction,
        at: StepIndex,
        chunk: &Chunk,
        cx: &mut Context<'_>,
    ) -> Poll<BodyOutcome> {
        let Some(step) = self.steps.get(at.0).filter(|_| run.passed(at)) else {
            return Poll::Ready(BodyOutcome::Pass(chunk.bytes.clone()));
        };
        let phase = || match direction {
            Direction::Request => Phase::RequestBody(chunk.clone()),
            Direction::Response => Phase::ResponseBody(chunk.clone()),
        };
        let Settled { result, reply, body } = ready!(run.poll_call(&*step.filter, direction, at, phase, cx));
        let outcome = match (result, reply) {
            (Ok(Action::Reply), Some(reply)) => Ok(BodyOutcome::Reply(reply)),
            (Ok(Action::Reply), None) => Err(step.no_reply()),
            (Ok(Action::Next | Action::Body(_)), _) => {
                Ok(BodyOutcome::Pass(body.unwrap_or_else(|| chunk.bytes.clone())))
            }
            (Err(error), _) => Err(error),
        };
        Poll::Ready(
            outcome.unwrap_or_else(|error| match self.fail(at, step, run, error) {
                Ok(()) => BodyOutcome::Pass(chunk.bytes.clone()),
                Err(error) => BodyOutcome::Failed(error),
            }),
        )
    }

    /// Runs the trailers phases of a message from where they came to; its trailers are in the exchange.
    pub fn poll_trailers(
        &self,
        run: &mut Run,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> Poll<TrailersOutcome> {
        while let Some((at, step)) = self.next_for_trailers(run, direction) {
            let (phase, wanted) = match direction {
                Direction::Request => (Phase::RequestTrailers, Phases::REQUEST_TRAILERS),
                Direction::Response => (Phase::ResponseTrailers, Phases::RESPONSE_TRAILERS),
            };
            let mut outcome = None;
            if run.passed(at) && step.wants(wanted) {
                let Settled { result, reply, .. } =
                    ready!(run.poll_call(&*step.filter, direction, at, || phase, cx));
                outcome = match (result, reply) {
                    (Ok(Action::Reply), Some(reply)) => Some(TrailersOutcome::Reply(reply)),
                    (Ok(Action::Reply), None) => self.fail_trailers(at, step, run, step.no_reply()),
                    (Ok(_), _) => None,
                    (Err(error), _) => self.fail_trailers(at, step, run, error),
                };
            }
            match direction {
                Direction::Request => run.place.request_trailers += 1,
                Direction::Response => run.place.response_trailers -= 1,
            }
            if let Some(outcome) = outcome {
                return Poll::Ready(outcome);
            }
        }
        Poll::Ready(TrailersOutcome::Done)
    }

    /// Applies a filter's failure mode to a body that is larger than its plan's limit.
    ///
    /// # Errors
    /// When the filter fails closed.
    pub fn body_too_large(&self, at: StepIndex, run: &mut Run, limit: u64) -> Result<(), FilterError> {
        let Some(step) = self.steps.get(at.0) else {
            return Ok(());
        };
        self.fail(
            at,
            step,
            run,
            step.error(FailureReason::BodyTooLarge, format!("more than {limit} bytes")),
        )
    }

    /// Runs the log phases. A failure is reported and stops nobody.
    pub fn poll_log(&self, run: &mut Run, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(step) = self.steps.get(run.place.log) {
            let at = StepIndex(run.place.log);
            if step.wants(Phases::LOG) {
                let phase = || Phase::Log;
                let settled = ready!(run.poll_call(&*step.filter, Direction::Response, at, phase, cx));
                if let Err(error) = settled.result {
                    tracing::warn!(filter = error.filter, reason = %error.reason, error = error.message, "log phase failed");
                }
            }
            run.place.log += 1;
        }
        Poll::Ready(())
    }

    /// The last of the first `count` steps.
    fn before(&self, count: usize) -> Option<(StepIndex, &Step)> {
        let at = count.checked_sub(1)?;
        Some((StepIndex(at), self.steps.get(at)?))
    }

    fn next_for_trailers(&self, run: &Run, direction: Direction) -> Option<(StepIndex, &Step)> {
        match direction {
            Direction::Request => {
                let at = run.place.request_trailers;
                Some((StepIndex(at), self.steps.get(at)?))
            }
            Direction::Response => self.before(run.place.response_trailers),
        }
    }

    fn head(
        &self,
        at: StepIndex,
        step: &Step,
        settled: Settled,
        run: &mut Run,
        body_phase: Phases,
    ) -> Option<HeadOutcome> {
        let failed = match (settled.result, settled.reply) {
            (Ok(Action::Next), _) => return None,
            (Ok(Action::Reply), Some(reply)) => return Some(HeadOutcome::Reply(at, reply)),
            (Ok(Action::Body(plan)), _) => {
                return step.wants(body_phase).then_some(HeadOutcome::Body(at, plan));
            }
            (Ok(Action::Reply), None) => step.no_reply(),
            (Err(error), _) => error,
        };
        self.fail(at, step, run, failed)
            .err()
            .map(|error| HeadOutcome::Failed(at, error))
    }

    fn fail_trailers(
        &self,
        at: StepIndex,
        step: &Step,
        run: &mut Run,
        error: FilterError,
    ) -> Option<TrailersOutcome> {
        self.fail(at, step, run, error).err().map(TrailersOutcome::Failed)
    }

    /// Reports a failure and applies the step's failure mode: `Ok` leaves this step out, and only it.
    #[cold]
    fn fail(&self, at: StepIndex, step: &Step, run: &mut Run, error: FilterError) -> Result<(), FilterError> {
        tracing::warn!(
            filter = error.filter,
            reason = %error.reason,
            failure_mode = %step.failure_mode,
            error = error.message,
            "filter failed"
        );
        match step.failure_mode {
            FailureMode::Open => {
                run.set(at, StepState::LeftOut);
                Ok(())
            }
            FailureMode::Closed => Err(error),
        }
    }
}

impl Step {
    fn wants(&self, phase: Phases) -> bool {
        self.filter.phases().contains(phase)
    }

    /// A failure that no call of the filter reported.
    fn error(&self, reason: FailureReason, message: String) -> FilterError {
        self.filter.count_failure(reason);
        FilterError {
            filter: self.filter.name().to_owned(),
            reason,
            message,
        }
    }

    fn no_reply(&self) -> FilterError {
        self.error(
            FailureReason::NoReply,
            "it said `reply` and staged none".to_owned(),
        )
    }
}

#[cfg(test)]
mod tests;

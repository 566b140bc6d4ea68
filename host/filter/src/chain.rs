//! Runs the filters of a chain over one exchange.
//!
//! The request phases go forward, the response phases backward over the filters that passed the request
//! on. The executor never waits: where a filter wants a body, it hands the plan back and is resumed.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};
use weir_model::FailureMode;

use crate::{BodyAction, BodyPlan, Exchange, FailureReason, Filter, FilterError, HeadAction, Phases, Reply};

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
}

/// Which filters of a chain take part in one exchange.
#[derive(Debug, Default)]
pub struct Run {
    states: SmallVec<[StepState; 16]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StepState {
    /// The request has not passed it.
    Ahead,
    /// It passed the request on.
    Passed,
    /// It failed open: left out for the rest of the exchange.
    LeftOut,
}

/// Where a head phase came to.
#[derive(Debug)]
pub enum HeadOutcome {
    /// Every filter has run.
    Done,
    /// This filter wants the body; resume after it.
    Body(StepIndex, BodyPlan),
    /// A filter replied.
    Reply(StepIndex, Reply),
    /// A filter failed closed.
    Failed(StepIndex, FilterError),
}

/// What became of a body or chunk at one filter.
#[derive(Debug)]
pub enum BodyOutcome {
    /// Pass these bytes on.
    Pass(Bytes),
    /// The filter replied.
    Reply(Reply),
    /// The filter failed closed.
    Failed(FilterError),
}

#[derive(Clone, Copy)]
enum Direction {
    Request,
    Response,
}

impl Chain {
    /// A chain of these steps, in request order.
    pub fn new(steps: Vec<Step>) -> Self {
        let phases = steps
            .iter()
            .fold(Phases::empty(), |all, step| all | step.filter.phases());
        Self { steps, phases }
    }

    /// Starts an exchange through this chain.
    pub fn start(&self) -> Run {
        Run {
            states: smallvec![StepState::Ahead; self.steps.len()],
        }
    }

    /// True when no filter wants any of these phases.
    pub fn skips(&self, phases: Phases) -> bool {
        !self.phases.intersects(phases)
    }

    /// Runs request-head phases from the start, or from after `after`.
    pub fn request_head(
        &self,
        exchange: &mut Exchange,
        run: &mut Run,
        after: Option<StepIndex>,
    ) -> HeadOutcome {
        let from = after.map_or(0, |StepIndex(at)| at + 1);
        for (at, step) in self.steps.iter().enumerate().skip(from) {
            let at = StepIndex(at);
            // Marked first: a reply of its own takes the mark back below.
            run.set(at, StepState::Passed);
            if !step.filter.phases().contains(Phases::REQUEST_HEAD) {
                continue;
            }
            if let Some(outcome) = self.head(at, step, exchange, run, Direction::Request) {
                if matches!(outcome, HeadOutcome::Reply(..) | HeadOutcome::Failed(..)) {
                    run.set(at, StepState::Ahead);
                }
                return outcome;
            }
        }
        HeadOutcome::Done
    }

    /// Runs response-head phases backward from the end, or from before `after`.
    pub fn response_head(
        &self,
        exchange: &mut Exchange,
        run: &mut Run,
        after: Option<StepIndex>,
    ) -> HeadOutcome {
        let end = after.map_or(self.steps.len(), |StepIndex(at)| at);
        for (at, step) in self.steps.iter().enumerate().take(end).rev() {
            let at = StepIndex(at);
            if run.passed(at)
                && step.filter.phases().contains(Phases::RESPONSE_HEAD)
                && let Some(outcome) = self.head(at, step, exchange, run, Direction::Response)
            {
                return outcome;
            }
        }
        HeadOutcome::Done
    }

    /// Gives one filter a chunk of the request body, or the whole of it.
    pub fn request_body(
        &self,
        at: StepIndex,
        exchange: &mut Exchange,
        run: &mut Run,
        chunk: Bytes,
        end: bool,
    ) -> BodyOutcome {
        self.body(at, exchange, run, chunk, end, Direction::Request)
    }

    /// Gives one filter a chunk of the response body, or the whole of it.
    pub fn response_body(
        &self,
        at: StepIndex,
        exchange: &mut Exchange,
        run: &mut Run,
        chunk: Bytes,
        end: bool,
    ) -> BodyOutcome {
        self.body(at, exchange, run, chunk, end, Direction::Response)
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
    pub fn log(&self, exchange: &mut Exchange) {
        for (at, step) in self.steps.iter().enumerate() {
            if step.filter.phases().contains(Phases::LOG) {
                exchange.step = StepIndex(at);
                if let Err(error) = step.filter.on_log(exchange) {
                    tracing::warn!(filter = error.filter, reason = %error.reason, error = error.message, "log phase failed");
                }
            }
        }
    }

    fn head(
        &self,
        at: StepIndex,
        step: &Step,
        exchange: &mut Exchange,
        run: &mut Run,
        direction: Direction,
    ) -> Option<HeadOutcome> {
        exchange.step = at;
        exchange.take_reply();
        let (result, body_phase) = match direction {
            Direction::Request => (step.filter.on_request_head(exchange), Phases::REQUEST_BODY),
            Direction::Response => (step.filter.on_response_head(exchange), Phases::RESPONSE_BODY),
        };
        let action = result.and_then(|action| match action {
            HeadAction::Reply => exchange
                .take_reply()
                .map(|reply| Some(HeadOutcome::Reply(at, reply)))
                .ok_or_else(|| step.no_reply()),
            HeadAction::Body(plan) if step.filter.phases().contains(body_phase) => {
                Ok(Some(HeadOutcome::Body(at, plan)))
            }
            HeadAction::Next | HeadAction::Body(_) => Ok(None),
        });
        action.unwrap_or_else(|error| {
            self.fail(at, step, run, error)
                .err()
                .map(|error| HeadOutcome::Failed(at, error))
        })
    }

    fn body(
        &self,
        at: StepIndex,
        exchange: &mut Exchange,
        run: &mut Run,
        chunk: Bytes,
        end: bool,
        direction: Direction,
    ) -> BodyOutcome {
        let Some(step) = self.steps.get(at.0).filter(|_| run.passed(at)) else {
            return BodyOutcome::Pass(chunk);
        };
        exchange.step = at;
        // Whatever an earlier filter staged before it failed is not this filter's.
        exchange.take_body();
        exchange.take_reply();
        let result = match direction {
            Direction::Request => step.filter.on_request_body(exchange, &chunk, end),
            Direction::Response => step.filter.on_response_body(exchange, &chunk, end),
        };
        let outcome = result.and_then(|action| match action {
            BodyAction::Next => Ok(BodyOutcome::Pass(
                exchange.take_body().unwrap_or_else(|| chunk.clone()),
            )),
            BodyAction::Reply => exchange
                .take_reply()
                .map(BodyOutcome::Reply)
                .ok_or_else(|| step.no_reply()),
        });
        outcome.unwrap_or_else(|error| match self.fail(at, step, run, error) {
            Ok(()) => BodyOutcome::Pass(chunk),
            Err(error) => BodyOutcome::Failed(error),
        })
    }

    /// Reports a failure and applies the step's failure mode: `Ok` leaves this step out, and only it.
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
    fn error(&self, reason: FailureReason, message: String) -> FilterError {
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

impl Run {
    fn passed(&self, StepIndex(at): StepIndex) -> bool {
        self.states.get(at) == Some(&StepState::Passed)
    }

    fn set(&mut self, StepIndex(at): StepIndex, state: StepState) {
        if let Some(slot) = self.states.get_mut(at) {
            *slot = state;
        }
    }
}

#[cfg(test)]
mod tests;

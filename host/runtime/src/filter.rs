//! A component as a filter.

use std::task::{Context, Poll};

use weir_filter::{Action, Call, Exchange, FailureReason, Filter, Finished, Kept, Phases, Progress, Waiting};

use crate::component::{Calling, Component, Ended};

/// A component that runs on exchanges.
#[derive(Debug)]
pub(crate) struct ComponentFilter {
    component: Component,
    phases: Phases,
}

impl ComponentFilter {
    pub(crate) const fn new(component: Component, phases: Phases) -> Self {
        Self { component, phases }
    }
}

impl Filter for ComponentFilter {
    fn name(&self) -> &str {
        self.component.name()
    }

    fn phases(&self) -> Phases {
        self.phases
    }

    fn makes_callouts(&self) -> bool {
        self.component.makes_callouts()
    }

    fn count_failure(&self, reason: FailureReason) {
        self.component.count_failure(reason);
    }

    fn call(&self, call: Call, cx: &mut Context<'_>) -> Progress {
        let Call {
            phase,
            exchange,
            kept,
        } = call;
        match self
            .component
            .call(phase, exchange, kept.and_then(Kept::take), cx)
        {
            Ok(ended) => Progress::Done(ended.into()),
            Err(calling) => Progress::Waiting(Box::new(calling)),
        }
    }
}

impl Waiting for Calling<Action> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Finished> {
        Self::poll(self, cx).map(Finished::from)
    }

    fn abandon(mut self: Box<Self>) -> Exchange {
        self.give_up()
    }
}

impl From<Ended<Action>> for Finished {
    fn from(ended: Ended<Action>) -> Self {
        let Ended {
            exchange,
            kept,
            result,
        } = ended;
        Self {
            exchange,
            kept: kept.map(Kept::new),
            result,
        }
    }
}

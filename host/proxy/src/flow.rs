//! One exchange on its way: its plan, its place in it, and the state that phases and bodies share.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use weir_filter::{BodyOutcome, Chain, Exchange, FilterError, Phases, Reason, Reply, Run, StepIndex};

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
    state: RefCell<State>,
}

struct State {
    exchange: Exchange,
    run: Run,
    interruption: Option<Interruption>,
}

/// Why a filter ended an exchange from a body phase.
pub(crate) enum Interruption {
    Reply(Reply),
    Failed(FilterError),
}

/// Which body is passing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
}

impl Flow {
    pub(crate) fn new(
        plan: Rc<WorkerPlan>,
        place: Option<Place>,
        exchange: Exchange,
        downstream: &Rc<Downstream>,
    ) -> Rc<Self> {
        downstream.exchange_started();
        let run = place
            .and_then(|place| plan.plan().chain(place))
            .map(Chain::start)
            .unwrap_or_default();
        let downstream = Rc::clone(downstream);
        Rc::new(Self {
            plan,
            place,
            downstream,
            state: RefCell::new(State {
                exchange,
                run,
                interruption: None,
            }),
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

    /// Runs `act` on the exchange.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Exchange) -> T) -> T {
        act(&mut self.state.borrow_mut().exchange)
    }

    /// Runs `act` on the chain, if there is one; `none` otherwise.
    pub(crate) fn with_chain<T>(&self, none: T, act: impl FnOnce(&Chain, &mut Exchange, &mut Run) -> T) -> T {
        let Some(chain) = self.chain() else { return none };
        let State { exchange, run, .. } = &mut *self.state.borrow_mut();
        act(chain, exchange, run)
    }

    /// Passes one chunk through filters in order. `None` when a filter ended the exchange; the reason
    /// waits in [`Flow::interruption`].
    pub(crate) fn chunk(
        &self,
        direction: Direction,
        steps: &[StepIndex],
        chunk: Bytes,
        end: bool,
    ) -> Option<Bytes> {
        let mut passing = chunk;
        for step in steps {
            let outcome =
                self.with_chain(
                    BodyOutcome::Pass(Bytes::new()),
                    |chain, exchange, run| match direction {
                        Direction::Request => chain.request_body(*step, exchange, run, passing, end),
                        Direction::Response => chain.response_body(*step, exchange, run, passing, end),
                    },
                );
            passing = match outcome {
                BodyOutcome::Pass(bytes) => bytes,
                BodyOutcome::Reply(reply) => return self.interrupt(Interruption::Reply(reply)),
                BodyOutcome::Failed(error) => return self.interrupt(Interruption::Failed(error)),
            };
            if passing.is_empty() && !end {
                break;
            }
        }
        Some(passing)
    }

    /// Takes the reason why a body phase ended the exchange.
    pub(crate) fn interruption(&self) -> Option<Interruption> {
        self.state.borrow_mut().interruption.take()
    }

    /// Notes why a response ended in the middle of its body.
    pub(crate) fn broken_off(&self, error: &BodyError) {
        let interruption = self.interruption();
        self.with(|exchange| {
            let (reason, detail) = match interruption {
                Some(Interruption::Failed(error)) => (Reason::Filter(error.reason), error.filter),
                Some(Interruption::Reply(_)) => (Reason::FilterReply, "too late to send it".to_owned()),
                None => (Reason::UpstreamReset, error.to_string()),
            };
            exchange.facts.reason = Some(reason);
            exchange.facts.reason_detail = Some(detail);
        });
    }

    fn interrupt(&self, interruption: Interruption) -> Option<Bytes> {
        self.state.borrow_mut().interruption = Some(interruption);
        None
    }

    fn chain(&self) -> Option<&Chain> {
        self.plan.plan().chain(self.place?)
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let exchange = &mut self.state.get_mut().exchange;
        let chain = self.place.and_then(|place| self.plan.plan().chain(place));
        if let Some(chain) = chain.filter(|chain| !chain.skips(Phases::LOG)) {
            chain.log(exchange);
        }
        self.downstream
            .worker
            .recycle(std::mem::take(&mut exchange.request.headers));
        self.downstream.exchange_ended();
    }
}

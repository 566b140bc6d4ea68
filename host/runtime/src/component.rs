//! One configured use of a component, and how each call of it is begun, whatever the call is about.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use weir_filter::{Exchange, FailureReason, FilterError, Kept};

use crate::call::{ComponentCall, Driven, Unready};
use crate::export::Part;
use crate::fault::Fault;
use crate::instance::Limits;
use crate::plugin::Code;
use crate::pool::Lease;
use crate::state::Use;
use crate::work::Work;

/// One configured use of a loaded plugin. Dropping it makes the instances forget its configuration.
#[derive(Debug)]
pub(crate) struct Component {
    code: Arc<Code>,
    used: Arc<Use>,
    limits: Limits,
    /// An instance stays with an exchange or connection from its first call to its last.
    keeps: bool,
    makes_callouts: bool,
}

/// A call that is over.
pub(crate) struct Ended<A> {
    pub(crate) exchange: Exchange,
    pub(crate) kept: Option<Kept>,
    pub(crate) result: Result<A, FilterError>,
}

/// A call that waits, with what its end will need.
pub(crate) struct Running<W: Work> {
    call: ComponentCall<W>,
    used: Arc<Use>,
    name: &'static str,
    since: Instant,
}

impl Component {
    pub(crate) fn new(code: Arc<Code>, used: Arc<Use>, keeps: bool) -> Self {
        Self {
            limits: Limits::of(&used, code.engine()),
            makes_callouts: code.imports.iter().any(|it| it == "upstream" || it == "grpc"),
            code,
            used,
            keeps,
        }
    }

    /// Counts a failure that no call reported.
    pub(crate) fn count_failure(&self, reason: FailureReason) {
        self.used.own_telemetry.failed(reason.as_str());
    }

    pub(crate) fn name(&self) -> &str {
        &self.used.filter
    }

    pub(crate) const fn makes_callouts(&self) -> bool {
        self.makes_callouts
    }

    /// Runs a call as far as it comes: over, or waiting.
    pub(crate) fn call<W: Work>(
        &self,
        work: W,
        exchange: Exchange,
        kept: Option<Kept>,
        cx: &mut Context<'_>,
    ) -> Result<Ended<W::Answer>, Running<W>> {
        let since = Instant::now();
        let name = work.name();
        let lease = match kept.and_then(Kept::take::<Lease>) {
            Some(lease) => lease,
            None => match self.code.lease(&self.used) {
                Ok(lease) => lease,
                Err(fault) => {
                    return Ok(Ended {
                        exchange,
                        kept: None,
                        result: Err(error(&self.used, fault)),
                    });
                }
            },
        };
        let unready = Unready::of(&lease, &self.code, &self.used, Part::Filter);
        let mut call = ComponentCall::new(lease, unready, self.limits, self.keeps, work, exchange);
        match call.poll(cx) {
            Poll::Ready(driven) => {
                self.used.telemetry.called(name, since.elapsed());
                Ok(ended(driven, &self.used))
            }
            Poll::Pending => Err(Running {
                call,
                used: Arc::clone(&self.used),
                name,
                since,
            }),
        }
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        self.code.drop_use(&self.used);
    }
}

impl<W: Work> Running<W> {
    /// Goes on with the call until it is over or its wall time is.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Ended<W::Answer>> {
        self.call.poll(cx).map(|driven| {
            self.used.telemetry.called(self.name, self.since.elapsed());
            ended(driven, &self.used)
        })
    }

    /// Ends the guest where it stands.
    pub(crate) fn give_up(&mut self) -> Exchange {
        self.call.give_up()
    }
}

impl<W: Work> fmt::Debug for Running<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("filter", &self.used.filter)
            .field("call", &self.name)
            .finish_non_exhaustive()
    }
}

/// What whoever asked learns of a call.
pub(crate) fn ended<A>(driven: Driven<A>, used: &Use) -> Ended<A> {
    let Driven {
        exchange,
        kept,
        result,
    } = driven;
    Ended {
        exchange,
        kept,
        result: result.map_err(|fault| error(used, fault)),
    }
}

#[cold]
pub(crate) fn error(used: &Use, fault: Fault) -> FilterError {
    used.own_telemetry.failed(fault.reason.as_str());
    FilterError {
        filter: used.filter.clone(),
        reason: fault.reason,
        message: fault.message,
    }
}

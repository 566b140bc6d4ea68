//! A filter or handler whose plugin cannot run: it stands in its place of the chain and fails each exchange by its failure mode,
//! so that one broken policy neither opens its routes nor keeps others from changing.

use std::task::Context;

use weir_filter::{
    Call, FailureReason, Filter, FilterError, Finished, Handler, HandlerError, HandlerFuture, HandlerRequest,
    Phases, Progress,
};
use weir_telemetry::FilterTelemetry;

/// A filter, or a handler, that only fails.
#[derive(Debug)]
pub(crate) struct Broken {
    name: String,
    reason: FailureReason,
    message: String,
    telemetry: FilterTelemetry,
}

impl Broken {
    pub(crate) const fn new(
        name: String,
        reason: FailureReason,
        message: String,
        telemetry: FilterTelemetry,
    ) -> Self {
        Self {
            name,
            reason,
            message,
            telemetry,
        }
    }

    fn error(&self) -> FilterError {
        self.telemetry.failed(self.reason.as_str());
        FilterError {
            filter: self.name.clone(),
            reason: self.reason,
            message: self.message.clone(),
        }
    }
}

impl Filter for Broken {
    fn name(&self) -> &str {
        &self.name
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD
    }

    fn count_failure(&self, reason: FailureReason) {
        self.telemetry.failed(reason.as_str());
    }

    fn call(&self, call: Call, _: &mut Context<'_>) -> Progress {
        Progress::Done(Finished {
            exchange: call.exchange,
            kept: None,
            result: Err(self.error()),
        })
    }
}

impl Handler for Broken {
    fn name(&self) -> &str {
        &self.name
    }

    fn handle(&self, _: HandlerRequest) -> HandlerFuture {
        Box::pin(std::future::ready(Err(HandlerError::Failed(self.error()))))
    }
}

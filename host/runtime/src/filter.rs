//! A component as a filter.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::Store;
use weir_filter::{BodyAction, Exchange, Filter, FilterError, HeadAction, Phases};

use crate::bindings::guest::Guest;
use crate::instance::{Fault, State, Use, body_action, head_action};
use crate::plugin::Code;

/// One configured use of a loaded plugin. Dropping it makes the instances forget its configuration.
#[derive(Debug)]
pub(crate) struct ComponentFilter {
    code: Arc<Code>,
    used: Arc<Use>,
    phases: Phases,
}

impl ComponentFilter {
    pub(crate) const fn new(code: Arc<Code>, used: Arc<Use>, phases: Phases) -> Self {
        Self { code, used, phases }
    }

    /// Runs one phase; a fault becomes this filter's error.
    fn call<R>(
        &self,
        exchange: &mut Exchange,
        phase: impl FnOnce(&Guest, &mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R, FilterError> {
        self.code
            .call(&self.used, exchange, phase)
            .map_err(|fault| self.error(fault))
    }

    #[cold]
    fn error(&self, fault: Fault) -> FilterError {
        FilterError {
            filter: self.used.filter.clone(),
            reason: fault.reason,
            message: fault.message,
        }
    }
}

impl Filter for ComponentFilter {
    fn name(&self) -> &str {
        &self.used.filter
    }

    fn phases(&self) -> Phases {
        self.phases
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> Result<HeadAction, FilterError> {
        let action = self.call(exchange, |guest, store| {
            guest.call_on_request_head(store, self.used.slot)
        })?;
        Ok(head_action(action, self.used.body))
    }

    fn on_request_body(
        &self,
        exchange: &mut Exchange,
        chunk: &Bytes,
        end: bool,
    ) -> Result<BodyAction, FilterError> {
        self.call(exchange, |guest, store| {
            guest.call_on_request_body(store, self.used.slot, chunk, end)
        })
        .map(body_action)
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> Result<HeadAction, FilterError> {
        let action = self.call(exchange, |guest, store| {
            guest.call_on_response_head(store, self.used.slot)
        })?;
        Ok(head_action(action, self.used.body))
    }

    fn on_response_body(
        &self,
        exchange: &mut Exchange,
        chunk: &Bytes,
        end: bool,
    ) -> Result<BodyAction, FilterError> {
        self.call(exchange, |guest, store| {
            guest.call_on_response_body(store, self.used.slot, chunk, end)
        })
        .map(body_action)
    }

    fn on_log(&self, exchange: &mut Exchange) -> Result<(), FilterError> {
        self.call(exchange, |guest, store| guest.call_on_log(store, self.used.slot))
    }
}

impl Drop for ComponentFilter {
    fn drop(&mut self) {
        self.code.drop_use(&self.used);
    }
}

//! Interface `response`: the response of the current exchange.

use std::borrow::Cow;

use http::StatusCode;
use http::header::HeaderMap;
use wasmtime::Result;
use weir_filter::ExchangeState;

use super::fields::{self, Message};
use super::{Caller, Functions};

pub(super) struct Response;

pub(super) fn link(functions: &mut Functions<'_>) -> Result<()> {
    fields::link::<Response>(functions)?;
    functions.func_wrap("status", |store: Caller<'_>, (): ()| {
        Ok((store
            .data()
            .exchange
            .response
            .status
            .map_or(0, |status| status.as_u16()),))
    })?;
    functions.func_wrap("set-status", |mut store: Caller<'_>, (status,): (u16,)| {
        let state = store.data_mut();
        if !set_status(&mut state.exchange, status) {
            fields::left_out(state, ":status", "it is no final status, or there is no response");
        }
        Ok(())
    })
}

/// Interim statuses are the gateway's own; a response that has not come cannot get one.
fn set_status(exchange: &mut ExchangeState, status: u16) -> bool {
    let response = &mut exchange.response;
    match final_status(status) {
        Some(status) if response.status.is_some() => {
            response.status = Some(status);
            true
        }
        _ => false,
    }
}

/// A status that ends an exchange.
pub(super) fn final_status(status: u16) -> Option<StatusCode> {
    StatusCode::from_u16(status)
        .ok()
        .filter(|status| !status.is_informational())
}

impl Message for Response {
    fn fields(exchange: &ExchangeState) -> &HeaderMap {
        &exchange.response.headers
    }

    fn fields_mut(exchange: &mut ExchangeState) -> &mut HeaderMap {
        &mut exchange.response.headers
    }

    fn pseudo<'a>(exchange: &'a ExchangeState, name: &str) -> Option<Cow<'a, str>> {
        match (name, exchange.response.status) {
            (":status", Some(status)) => Some(Cow::Owned(status.as_str().to_owned())),
            _ => None,
        }
    }

    fn set_pseudo(exchange: &mut ExchangeState, name: &str, value: &str) -> bool {
        name == ":status" && value.parse().is_ok_and(|status| set_status(exchange, status))
    }
}

//! Interface `request`: the request of the current exchange.

use std::borrow::Cow;

use http::Method;
use http::header::{self, HeaderMap, HeaderName};
use wasmtime::Result;
use wasmtime::component::WasmStr;
use weir_filter::ExchangeState;

use super::fields::{self, Message};
use super::upstream::is_host;
use super::{Caller, Functions};

pub(super) struct Request;

pub(super) fn link(functions: &mut Functions<'_>) -> Result<()> {
    fields::link::<Request>(functions)?;
    functions.func_wrap("method", |store: Caller<'_>, (): ()| pseudo(&store, ":method"))?;
    functions.func_wrap("scheme", |store: Caller<'_>, (): ()| pseudo(&store, ":scheme"))?;
    functions.func_wrap("authority", |store: Caller<'_>, (): ()| {
        pseudo(&store, ":authority")
    })?;
    functions.func_wrap("path", |store: Caller<'_>, (): ()| pseudo(&store, ":path"))?;
    functions.func_wrap("set-method", |store: Caller<'_>, (value,): (WasmStr,)| {
        set(store, ":method", &value)
    })?;
    functions.func_wrap("set-authority", |store: Caller<'_>, (value,): (WasmStr,)| {
        set(store, ":authority", &value)
    })?;
    functions.func_wrap("set-path", |store: Caller<'_>, (value,): (WasmStr,)| {
        set(store, ":path", &value)
    })?;
    functions.func_wrap("path-starts-with", path_starts_with)
}

fn pseudo(store: &Caller<'_>, name: &str) -> Result<(String,)> {
    Ok((Request::pseudo(&store.data().exchange, name)
        .unwrap_or_default()
        .into_owned(),))
}

fn set(mut store: Caller<'_>, name: &str, value: &WasmStr) -> Result<()> {
    let value = value.to_str(&store)?.into_owned();
    let state = store.data_mut();
    state.meter.keep(value.len())?;
    if !Request::set_pseudo(&mut state.exchange, name, &value) {
        fields::left_out(state, name, "it cannot be set to this value");
    }
    Ok(())
}

fn path_starts_with(store: Caller<'_>, (prefix,): (WasmStr,)) -> Result<(bool,)> {
    let prefix = prefix.to_str(&store)?;
    Ok((store
        .data()
        .exchange
        .request
        .uri
        .path()
        .as_bytes()
        .starts_with(prefix.as_bytes()),))
}

impl Message for Request {
    fn fields(exchange: &ExchangeState) -> &HeaderMap {
        &exchange.request.headers
    }

    fn fields_mut(exchange: &mut ExchangeState) -> &mut HeaderMap {
        &mut exchange.request.headers
    }

    fn pseudo<'a>(exchange: &'a ExchangeState, name: &str) -> Option<Cow<'a, str>> {
        let request = &exchange.request;
        Some(Cow::Borrowed(match name {
            ":method" => request.method.as_str(),
            ":path" => request.path_and_query(),
            ":authority" => request.authority(),
            // The head is in origin form; without TLS listeners there is one scheme.
            ":scheme" => request.uri.scheme_str().unwrap_or("http"),
            _ => return None,
        }))
    }

    fn set_pseudo(exchange: &mut ExchangeState, name: &str, value: &str) -> bool {
        let request = &mut exchange.request;
        match name {
            // A tunnel is not something that a filter can turn a request into, or back.
            ":method" if value != "CONNECT" && request.method != Method::CONNECT => match value.parse() {
                Ok(method) => {
                    request.method = method;
                    true
                }
                Err(_) => false,
            },
            ":path" => request.set_path_and_query(value),
            ":authority" => is_host(value) && request.set_authority(value),
            _ => false,
        }
    }

    fn alias(name: &HeaderName) -> Option<&'static str> {
        (name == header::HOST).then_some(":authority")
    }
}

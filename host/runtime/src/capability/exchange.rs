//! Interface `exchange`: facts, the staged reply and body, notes and shared values.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Version;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use wasmtime::Result;
use wasmtime::component::{WasmList, WasmStr};
use weir_filter::{ExchangeState, Reply};

use super::fields::{is_framing, left_out};
use super::response::final_status;
use super::{Caller, Functions};
use crate::bindings::exchange::{AttributeId, Value};
use crate::bindings::types::Field;
use crate::state::State;

pub(super) fn link(functions: &mut Functions<'_>) -> Result<()> {
    functions.func_wrap("attribute", |store: Caller<'_>, (id,): (AttributeId,)| {
        Ok((attribute(&store.data().exchange, id),))
    })?;
    functions.func_wrap("reply", reply)?;
    functions.func_wrap("replace-body", replace_body)?;
    functions.func_wrap("note-get", note_get)?;
    functions.func_wrap("note-set", note_set)?;
    functions.func_wrap("shared-get", shared_get)?;
    functions.func_wrap("shared-set", shared_set)
}

fn reply(mut store: Caller<'_>, (status, fields, body): (u16, Vec<Field>, Vec<u8>)) -> Result<()> {
    let state = store.data_mut();
    let Some(status) = final_status(status) else {
        left_out(state, ":status", "a reply needs a final status, 200 to 999");
        return Ok(());
    };
    state.meter.keep(body.len())?;
    let headers = reply_fields(state, &fields)?;
    state.exchange.stage_reply(Reply {
        status,
        headers,
        body: Bytes::from(body),
    });
    Ok(())
}

fn reply_fields(state: &mut State, fields: &[Field]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(fields.len().min(64));
    for field in fields {
        state.meter.keep(field.name.len() + field.value.len())?;
        let parsed = HeaderName::from_bytes(field.name.as_bytes())
            .ok()
            .zip(HeaderValue::from_bytes(&field.value).ok());
        let added = match parsed {
            Some((name, value)) if !is_framing(&name) => headers.try_append(name, value).is_ok(),
            _ => false,
        };
        if !added {
            left_out(state, &field.name, "a reply cannot have this field");
        }
    }
    Ok(headers)
}

pub(super) fn replace_body(mut store: Caller<'_>, (bytes,): (Vec<u8>,)) -> Result<()> {
    let state = store.data_mut();
    state.meter.keep(bytes.len())?;
    state.exchange.stage_body(Bytes::from(bytes));
    Ok(())
}

pub(super) fn note_get(store: Caller<'_>, (key,): (WasmStr,)) -> Result<(Option<Vec<u8>>,)> {
    let key = key.to_str(&store)?;
    Ok((store.data().exchange.note(&key).map(|value| value.to_vec()),))
}

pub(super) fn note_set(mut store: Caller<'_>, (key, value): (WasmStr, WasmList<u8>)) -> Result<()> {
    let key = key.to_str(&store)?.into_owned();
    let value = Bytes::copy_from_slice(value.as_le_slice(&store));
    let state = store.data_mut();
    state.meter.keep(key.len() + value.len() + ENTRY_COST)?;
    // Notes outlive the call, so they are bounded over the whole exchange too.
    state
        .meter
        .hold(state.exchange.notes_size() + key.len() + value.len())?;
    state.exchange.set_note(&key, value);
    Ok(())
}

fn shared_get(store: Caller<'_>, (namespace, key): (WasmStr, WasmStr)) -> Result<(Option<Vec<u8>>,)> {
    let namespace = namespace.to_str(&store)?;
    let key = key.to_str(&store)?;
    Ok((store
        .data()
        .exchange
        .shared(&namespace, &key)
        .map(|value| value.to_vec()),))
}

fn shared_set(
    mut store: Caller<'_>,
    (namespace, key, value): (WasmStr, WasmStr, WasmList<u8>),
) -> Result<()> {
    let namespace = namespace.to_str(&store)?.into_owned();
    let key = key.to_str(&store)?.into_owned();
    let value = Bytes::copy_from_slice(value.as_le_slice(&store));
    let state = store.data_mut();
    state
        .meter
        .keep(namespace.len() + key.len() + value.len() + ENTRY_COST)?;
    let size = state.exchange.shared_size() + namespace.len() + key.len() + value.len();
    state.meter.hold(size)?;
    state.exchange.set_shared(&namespace, &key, value);
    Ok(())
}

fn attribute(exchange: &ExchangeState, id: AttributeId) -> Option<Value> {
    let facts = &exchange.facts;
    Some(match id {
        AttributeId::DownstreamRemoteAddress => address(facts.downstream_remote),
        AttributeId::DownstreamLocalAddress => address(facts.downstream_local),
        AttributeId::DownstreamConnectionId => Value::Int(facts.connection_id),
        AttributeId::Protocol => Value::Text(protocol(exchange.request.version).to_owned()),
        AttributeId::StartTime => Value::Time(since_epoch(SystemTime::now(), facts.start.elapsed())),
        AttributeId::Duration => Value::Int(nanoseconds(facts.start.elapsed())),
        AttributeId::ResponseDuration => Value::Int(nanoseconds(facts.response_after?)),
        AttributeId::BytesReceived => Value::Int(facts.bytes_received),
        AttributeId::BytesSent => Value::Int(facts.bytes_sent),
        AttributeId::Listener => Value::Text(facts.listener.as_deref()?.to_owned()),
        AttributeId::Route => Value::Text(facts.route.as_deref()?.to_owned()),
        AttributeId::UpstreamCluster => Value::Text(facts.upstream_cluster.as_deref()?.to_owned()),
        AttributeId::UpstreamHost => address(facts.upstream_remote?),
        AttributeId::UpstreamLocalAddress => address(facts.upstream_local?),
        AttributeId::Reason => Value::Text(facts.reason?.as_str().to_owned()),
        AttributeId::ReasonDetail => Value::Text(facts.reason_detail.clone()?),
    })
}

fn address(address: SocketAddr) -> Value {
    Value::Text(address.to_string())
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}

/// Nanoseconds from the Unix epoch to `ago` before `now`; 0 for a clock set before it.
fn since_epoch(now: SystemTime, ago: Duration) -> u64 {
    now.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|now| now.checked_sub(ago))
        .map_or(0, nanoseconds)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a note or shared value costs the host besides its bytes, roughly.
const ENTRY_COST: usize = 64;

//! The functions that requests and responses share: reading and editing fields.
//!
//! Names and values are read in place from the guest's memory. Names that begin with `:` stand for what is no field:
//! method, path, authority, scheme, status. Framing belongs to the gateway, so edits of it are left out.

use std::borrow::Cow;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use wasmtime::Result;
use wasmtime::component::{WasmList, WasmStr};
use weir_filter::ExchangeState;

use super::{Caller, Functions};
use crate::bindings::types::Field;
use crate::state::State;

/// A message with fields: the request or the response of an exchange.
pub(super) trait Message: 'static {
    /// Its fields.
    fn fields(exchange: &ExchangeState) -> &HeaderMap;

    /// Its fields, to edit.
    fn fields_mut(exchange: &mut ExchangeState) -> &mut HeaderMap;

    /// The value that a name which is no field stands for, such as `:path`.
    fn pseudo<'a>(_exchange: &'a ExchangeState, _name: &str) -> Option<Cow<'a, str>> {
        None
    }

    /// Sets what such a name stands for; false when it cannot be set, or not to this value.
    fn set_pseudo(_exchange: &mut ExchangeState, _name: &str, _value: &str) -> bool {
        false
    }

    /// The name that stands for this field, when the field is kept under rules of its own.
    fn alias(_name: &HeaderName) -> Option<&'static str> {
        None
    }
}

/// Links the functions of fields.
pub(super) fn link<M: Message>(functions: &mut Functions<'_>) -> Result<()> {
    functions.func_wrap("header", header::<M>)?;
    functions.func_wrap("header-values", header_values::<M>)?;
    functions.func_wrap("has-header", has_header::<M>)?;
    functions.func_wrap("header-is", header_is::<M>)?;
    functions.func_wrap("headers-block", headers_block::<M>)?;
    functions.func_wrap("set-header", set_header::<M>)?;
    functions.func_wrap("append-header", append_header::<M>)?;
    functions.func_wrap("remove-header", remove_header::<M>)?;
    functions.func_wrap("set-headers", set_headers::<M>)
}

fn header<M: Message>(store: Caller<'_>, (name,): (WasmStr,)) -> Result<(Option<Vec<u8>>,)> {
    let name = name.to_str(&store)?;
    let exchange = &store.data().exchange;
    if name.starts_with(':') {
        return Ok((M::pseudo(exchange, &name).map(|value| value.as_bytes().to_vec()),));
    }
    let mut values = M::fields(exchange).get_all(&*name).iter();
    let Some(first) = values.next() else {
        return Ok((None,));
    };
    let mut joined = first.as_bytes().to_vec();
    for value in values {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(value.as_bytes());
    }
    Ok((Some(joined),))
}

fn header_values<M: Message>(store: Caller<'_>, (name,): (WasmStr,)) -> Result<(Vec<Vec<u8>>,)> {
    let name = name.to_str(&store)?;
    let exchange = &store.data().exchange;
    if name.starts_with(':') {
        return Ok((M::pseudo(exchange, &name)
            .map(|value| value.as_bytes().to_vec())
            .into_iter()
            .collect(),));
    }
    Ok((M::fields(exchange)
        .get_all(&*name)
        .iter()
        .map(|value| value.as_bytes().to_vec())
        .collect(),))
}

fn has_header<M: Message>(store: Caller<'_>, (name,): (WasmStr,)) -> Result<(bool,)> {
    let name = name.to_str(&store)?;
    let exchange = &store.data().exchange;
    Ok((if name.starts_with(':') {
        M::pseudo(exchange, &name).is_some()
    } else {
        M::fields(exchange).contains_key(&*name)
    },))
}

fn header_is<M: Message>(store: Caller<'_>, (name, value): (WasmStr, WasmStr)) -> Result<(bool,)> {
    let name = name.to_str(&store)?;
    let value = value.to_str(&store)?;
    let exchange = &store.data().exchange;
    Ok((if name.starts_with(':') {
        M::pseudo(exchange, &name).is_some_and(|it| it == value)
    } else {
        M::fields(exchange)
            .get(&*name)
            .is_some_and(|it| it.as_bytes() == value.as_bytes())
    },))
}

fn headers_block<M: Message>(store: Caller<'_>, (): ()) -> Result<(Vec<u8>,)> {
    let fields = M::fields(&store.data().exchange);
    let size = fields
        .iter()
        .map(|(name, value)| 6 + name.as_str().len() + value.len())
        .sum();
    let mut block = Vec::with_capacity(size);
    for (name, value) in fields {
        // Field names are far below 64 KiB: `http` bounds them.
        block.extend_from_slice(&u16::try_from(name.as_str().len())?.to_le_bytes());
        block.extend_from_slice(&u32::try_from(value.len())?.to_le_bytes());
        block.extend_from_slice(name.as_str().as_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    Ok((block,))
}

fn set_header<M: Message>(mut store: Caller<'_>, (name, value): (WasmStr, WasmList<u8>)) -> Result<()> {
    let edit = Edit::parse::<M>(&name.to_str(&store)?, value.as_le_slice(&store));
    edit.set::<M>(store.data_mut())
}

fn append_header<M: Message>(mut store: Caller<'_>, (name, value): (WasmStr, WasmList<u8>)) -> Result<()> {
    let edit = Edit::parse::<M>(&name.to_str(&store)?, value.as_le_slice(&store));
    edit.append::<M>(store.data_mut())
}

fn remove_header<M: Message>(mut store: Caller<'_>, (name,): (WasmStr,)) -> Result<()> {
    let edit = Edit::parse::<M>(&name.to_str(&store)?, &[]);
    edit.remove::<M>(store.data_mut());
    Ok(())
}

fn set_headers<M: Message>(mut store: Caller<'_>, (fields,): (Vec<Field>,)) -> Result<()> {
    fields
        .iter()
        .try_for_each(|it| Edit::parse::<M>(&it.name, &it.value).set::<M>(store.data_mut()))
}

/// One edit, checked.
pub(super) enum Edit {
    Field(HeaderName, HeaderValue),
    Pseudo(String, String),
    LeftOut(String, &'static str),
}

impl Edit {
    pub(super) fn parse<M: Message>(name: &str, value: &[u8]) -> Self {
        if name.starts_with(':') {
            return Self::pseudo(name, value);
        }
        let Ok(field) = HeaderName::from_bytes(name.as_bytes()) else {
            return Self::LeftOut(name.to_owned(), "it is no field name");
        };
        if is_framing(&field) {
            return Self::LeftOut(name.to_owned(), "the gateway owns framing and connection fields");
        }
        if let Some(alias) = M::alias(&field) {
            return Self::pseudo(alias, value);
        }
        match HeaderValue::from_bytes(value) {
            Ok(value) => Self::Field(field, value),
            Err(_) => Self::LeftOut(name.to_owned(), "its value holds bytes that no field may have"),
        }
    }

    fn pseudo(name: &str, value: &[u8]) -> Self {
        match str::from_utf8(value) {
            Ok(value) => Self::Pseudo(name.to_owned(), value.to_owned()),
            Err(_) => Self::LeftOut(name.to_owned(), "its value is not text"),
        }
    }

    pub(super) fn set<M: Message>(self, state: &mut State) -> Result<()> {
        match self {
            Self::Field(name, value) => {
                state.meter.keep(name.as_str().len() + value.len() + FIELD_COST)?;
                if !has_room::<M>(state, name.as_str().len() + value.len())?
                    || M::fields_mut(&mut state.exchange)
                        .try_insert(name, value)
                        .is_err()
                {
                    left_out(state, "field", "the message has too many fields");
                }
            }
            Self::Pseudo(name, value) => {
                state.meter.keep(value.len())?;
                if !M::set_pseudo(&mut state.exchange, &name, &value) {
                    left_out(state, &name, "it cannot be set to this value");
                }
            }
            Self::LeftOut(name, why) => left_out(state, &name, why),
        }
        Ok(())
    }

    pub(super) fn append<M: Message>(self, state: &mut State) -> Result<()> {
        match self {
            Self::Field(name, value) => {
                state.meter.keep(name.as_str().len() + value.len() + FIELD_COST)?;
                if !has_room::<M>(state, name.as_str().len() + value.len())?
                    || M::fields_mut(&mut state.exchange)
                        .try_append(name, value)
                        .is_err()
                {
                    left_out(state, "field", "the message has too many fields");
                }
            }
            Self::Pseudo(name, _) => left_out(state, &name, "there can be only one"),
            Self::LeftOut(name, why) => left_out(state, &name, why),
        }
        Ok(())
    }

    pub(super) fn remove<M: Message>(self, state: &mut State) {
        match self {
            Self::Field(name, _) => {
                M::fields_mut(&mut state.exchange).remove(name);
            }
            Self::Pseudo(name, _) => left_out(state, &name, "it can be set, not removed"),
            Self::LeftOut(name, why) => left_out(state, &name, why),
        }
    }
}

/// True when a message may have one more field: it outlives the calls, each of which is bounded by itself.
///
/// # Errors
/// When large fields make it larger than the memory limit.
fn has_room<M: Message>(state: &mut State, size: usize) -> Result<bool> {
    let fields = M::fields(&state.exchange);
    if size >= LARGE_FIELD {
        let all = fields
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len());
        let all = all.sum::<usize>();
        state.meter.hold(all + size)?;
    }
    Ok(M::fields(&state.exchange).len() < MOST_FIELDS)
}

/// True for the fields that say how a message is framed or that belong to one connection.
pub(super) fn is_framing(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "content-length"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Notes an edit that does not happen. The guest's own text is bounded before it is written.
pub(super) fn left_out(state: &State, name: &str, why: &str) {
    let name: String = name.chars().take(80).collect();
    tracing::debug!(filter = state.filter(), name, why, "edit left out");
}

/// Fields of one message, and the size from which on they are added up: together they bound a message.
const MOST_FIELDS: usize = 4096;
const LARGE_FIELD: usize = 8 << 10;

/// What a field costs the host besides its text, roughly.
const FIELD_COST: usize = 64;

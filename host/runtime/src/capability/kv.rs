//! Capability `kv`: the plugin's namespace of the gateway's store.

use std::time::{Duration, Instant};

use wasmtime::Result;
use wasmtime::component::{WasmList, WasmStr};
use weir_kv::Namespace;

use super::{Caller, Functions};
use crate::bindings::kv::{Entry, Error};

pub(super) fn link(functions: &mut Functions<'_>) -> Result<()> {
    functions.func_wrap("get", get)?;
    functions.func_wrap("set", set)?;
    functions.func_wrap("compare-and-set", compare_and_set)?;
    functions.func_wrap("increment", increment)?;
    functions.func_wrap("delete", |store: Caller<'_>, (key,): (WasmStr,)| {
        if let Some(namespace) = namespace(&store).filter(|_| !store.data().is_shadow()) {
            namespace.delete(&key.to_str(&store)?);
        }
        Ok(())
    })?;
    functions.func_wrap("keys", keys)
}

type Outcome<T> = std::result::Result<T, Error>;

fn get(store: Caller<'_>, (key,): (WasmStr,)) -> Result<(Option<Entry>,)> {
    let key = key.to_str(&store)?;
    let entry = namespace(&store).and_then(|it| it.get(&key, Instant::now()));
    Ok((entry.map(|it| Entry {
        value: it.value.to_vec(),
        version: it.version,
    }),))
}

fn set(store: Caller<'_>, (key, value, ttl): (WasmStr, WasmList<u8>, u64)) -> Result<(Outcome<()>,)> {
    let (key, value) = (key.to_str(&store)?, value.as_le_slice(&store));
    let written = match namespace(&store) {
        Some(_) if store.data().is_shadow() => Ok(()),
        Some(it) => it.set(&key, value, lifetime(ttl), Instant::now()).map(drop),
        None => return Ok((Err(Error::OverQuota),)),
    };
    Ok((written.map_err(error),))
}

fn compare_and_set(
    store: Caller<'_>,
    (key, version, value, ttl): (WasmStr, u64, WasmList<u8>, u64),
) -> Result<(Outcome<bool>,)> {
    let (key, value) = (key.to_str(&store)?, value.as_le_slice(&store));
    let Some(namespace) = namespace(&store) else {
        return Ok((Err(Error::OverQuota),));
    };
    if store.data().is_shadow() {
        let found = namespace.get(&key, Instant::now()).map_or(0, |it| it.version);
        return Ok((Ok(found == version),));
    }
    let written = namespace.compare_and_set(&key, version, value, lifetime(ttl), Instant::now());
    Ok((written.map(|version| version.is_some()).map_err(error),))
}

fn increment(store: Caller<'_>, (key, delta, ttl): (WasmStr, i64, u64)) -> Result<(Outcome<i64>,)> {
    let key = key.to_str(&store)?;
    let Some(namespace) = namespace(&store) else {
        return Ok((Err(Error::OverQuota),));
    };
    if store.data().is_shadow() {
        let found = namespace.get(&key, Instant::now());
        let found = found.map_or(Some(0), |it| str::from_utf8(&it.value).ok()?.parse::<i64>().ok());
        let sum = found.and_then(|it| it.checked_add(delta));
        return Ok((sum.ok_or(Error::NotANumber),));
    }
    let sum = namespace.increment(&key, delta, lifetime(ttl), Instant::now());
    Ok((sum.map_err(error),))
}

fn keys(store: Caller<'_>, (prefix, limit): (WasmStr, u32)) -> Result<(Vec<String>,)> {
    let prefix = prefix.to_str(&store)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(MAX_KEYS);
    let keys = namespace(&store).map(|it| it.keys(&prefix, limit, Instant::now()));
    Ok((keys.into_iter().flatten().map(|it| it.to_string()).collect(),))
}

/// The namespace of the current filter's plugin. None while an instance starts, before it has a configuration.
fn namespace<'a>(store: &'a Caller<'_>) -> Option<&'a Namespace> {
    store.data().current().map(|it| &*it.kv)
}

fn lifetime(ttl_millis: u64) -> Option<Duration> {
    (ttl_millis > 0).then(|| Duration::from_millis(ttl_millis))
}

fn error(error: weir_kv::Error) -> Error {
    match error {
        weir_kv::Error::KeyTooLong(_) | weir_kv::Error::ValueTooLong(_) => Error::TooLarge,
        weir_kv::Error::OverQuota { .. } => Error::OverQuota,
        weir_kv::Error::NotInteger | weir_kv::Error::Overflow => Error::NotANumber,
    }
}

/// Keys that one call lists at most.
const MAX_KEYS: usize = 10_000;

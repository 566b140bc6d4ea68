//! Capability `random`: numbers from the operating system, good enough for keys.

use wasmtime::Result;

use super::{Caller, Functions};

pub(super) fn link(functions: &mut Functions<'_>) -> Result<()> {
    functions.func_wrap("next", |_: Caller<'_>, (): ()| {
        Ok((getrandom::u64().map_err(Unavailable)?,))
    })?;
    functions.func_wrap("bytes", |mut store: Caller<'_>, (len,): (u32,)| {
        let len = len as usize;
        // Before the buffer exists: the length is the guest's word.
        store.data_mut().meter.keep(len)?;
        let mut bytes = vec![0; len];
        getrandom::fill(&mut bytes).map_err(Unavailable)?;
        Ok((bytes,))
    })
}

/// Predictable numbers would be worse than none, so the call ends.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random numbers: {0}")]
struct Unavailable(getrandom::Error);

//! Interface `connection`: its facts, the staged bytes and notes. A connection is taken in as an exchange without a
//! request, so what both have is written once.

use wasmtime::Result;
use weir_filter::Facts;

use super::exchange::{note_get, note_set, replace_body};
use super::{Caller, Functions};

pub(super) fn link(functions: &mut Functions<'_>) -> Result<()> {
    functions.func_wrap("remote-address", |store: Caller<'_>, (): ()| {
        Ok((facts(&store).downstream_remote.to_string(),))
    })?;
    functions.func_wrap("local-address", |store: Caller<'_>, (): ()| {
        Ok((facts(&store).downstream_local.to_string(),))
    })?;
    functions.func_wrap("id", |store: Caller<'_>, (): ()| {
        Ok((facts(&store).connection_id,))
    })?;
    functions.func_wrap("listener", |store: Caller<'_>, (): ()| {
        Ok((facts(&store).listener.as_deref().unwrap_or_default().to_owned(),))
    })?;
    functions.func_wrap("replace-data", replace_body)?;
    functions.func_wrap("note-get", note_get)?;
    functions.func_wrap("note-set", note_set)
}

fn facts<'a>(store: &'a Caller<'_>) -> &'a Facts {
    &store.data().exchange.facts
}

//! Capability `environment`: the granted variables of the process, as they were at its start.

use wasmtime::Result;
use wasmtime::component::WasmStr;

use super::{Caller, Functions};

/// A granted variable and its value, if it is set.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

pub(super) fn link(functions: &mut Functions<'_>) -> Result<()> {
    functions.func_wrap("get", |store: Caller<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&store)?;
        let granted = store
            .data()
            .current()
            .and_then(|it| it.environment.iter().find(|it| it.name == name));
        Ok((granted.and_then(|variable| variable.value.clone()),))
    })
}

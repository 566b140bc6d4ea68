//! Capability `metrics`: what a plugin counts and measures itself.

use wasmtime::Result;
use wasmtime::component::WasmStr;
use weir_telemetry::{PluginMetrics, Refused};

use super::{Caller, Functions};
use crate::bindings::metrics::Label;
use crate::state::Effect;

pub(super) fn link(functions: &mut Functions<'_>) -> Result<()> {
    functions.func_wrap(
        "add",
        |store: Caller<'_>, (name, labels, delta): (WasmStr, Vec<Label>, u64)| {
            update(&store, &name, &labels, |it, name, labels| {
                it.add(name, labels, delta)
            })
        },
    )?;
    functions.func_wrap(
        "set",
        |store: Caller<'_>, (name, labels, value): (WasmStr, Vec<Label>, f64)| {
            update(&store, &name, &labels, |it, name, labels| {
                it.set(name, labels, value)
            })
        },
    )?;
    functions.func_wrap(
        "observe",
        |store: Caller<'_>, (name, labels, value): (WasmStr, Vec<Label>, f64)| {
            update(&store, &name, &labels, |it, name, labels| {
                it.observe(name, labels, value)
            })
        },
    )
}

fn update(
    store: &Caller<'_>,
    name: &WasmStr,
    labels: &[Label],
    act: impl FnOnce(&PluginMetrics, &str, &[(&str, &str)]) -> std::result::Result<(), Refused>,
) -> Result<()> {
    let name = name.to_str(store)?;
    let labels: Vec<_> = labels
        .iter()
        .map(|it| (it.name.as_str(), it.value.as_str()))
        .collect();
    let Some(used) = store.data().current().filter(|it| it.effect == Effect::Real) else {
        return Ok(());
    };
    if let Err(refused) = act(&used.metrics, &name, &labels) {
        let name: String = name.chars().take(80).collect();
        tracing::debug!(filter = used.filter, name, %refused, "a metric is left out");
    }
    Ok(())
}

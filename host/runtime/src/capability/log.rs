//! Capability `log`: lines in the gateway's own log, marked with the plugin and the filter.

use wasmtime::Result;
use wasmtime::component::WasmStr;

use super::{Caller, Functions};
use crate::bindings::log::Level;

pub(super) fn link(functions: &mut Functions<'_>) -> Result<()> {
    functions.func_wrap("enabled", |_: Caller<'_>, (level,): (Level,)| {
        Ok((enabled(level),))
    })?;
    functions.func_wrap("write", write)
}

fn write(store: Caller<'_>, (level, message): (Level, WasmStr)) -> Result<()> {
    if !enabled(level) {
        return Ok(());
    }
    let message = message.to_str(&store)?;
    let message = bounded(&message);
    let (plugin, filter) = match store.data().current() {
        Some(used) => (used.plugin.as_str(), used.filter.as_str()),
        // Only while an instance starts, before it has met a configuration.
        None => ("", ""),
    };
    match level {
        Level::Trace => tracing::trace!(target: "plugin", plugin, filter, "{message}"),
        Level::Debug => tracing::debug!(target: "plugin", plugin, filter, "{message}"),
        Level::Info => tracing::info!(target: "plugin", plugin, filter, "{message}"),
        Level::Warn => tracing::warn!(target: "plugin", plugin, filter, "{message}"),
        Level::Error => tracing::error!(target: "plugin", plugin, filter, "{message}"),
    }
    Ok(())
}

fn enabled(level: Level) -> bool {
    match level {
        Level::Trace => tracing::enabled!(target: "plugin", tracing::Level::TRACE),
        Level::Debug => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(target: "plugin", tracing::Level::INFO),
        Level::Warn => tracing::enabled!(target: "plugin", tracing::Level::WARN),
        Level::Error => tracing::enabled!(target: "plugin", tracing::Level::ERROR),
    }
}

/// The first part of a message, cut between characters.
fn bounded(message: &str) -> &str {
    message
        .get(..message.floor_char_boundary(LONGEST_LINE))
        .unwrap_or_default()
}

const LONGEST_LINE: usize = 8 << 10;

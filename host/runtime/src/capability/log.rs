//! Capability `log`: lines in the gateway's own log, marked with the plugin and the filter.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use wasmtime::Result;
use wasmtime::component::WasmStr;

use super::{Caller, Functions};
use crate::bindings::log::Level;
use crate::state::Use;

pub(super) fn link(functions: &mut Functions<'_>) -> Result<()> {
    functions.func_wrap("enabled", |_: Caller<'_>, (level,): (Level,)| {
        Ok((enabled(level),))
    })?;
    functions.func_wrap("write", write)
}

fn write(store: Caller<'_>, (level, message): (Level, WasmStr)) -> Result<()> {
    if !enabled(level) || store.data().is_shadow() {
        return Ok(());
    }
    let message = message.to_str(&store)?;
    line(store.data().current().map(|it| &**it), level, &message);
    Ok(())
}

/// Writes a line within the limit of the use; without one only while an instance starts.
pub(crate) fn line(used: Option<&Use>, level: Level, message: &str) {
    let message = bounded(message);
    let (plugin, filter) = match used {
        Some(used) if !used.log.admits() => {
            used.telemetry.dropped_log_lines(1);
            return;
        }
        Some(used) => (used.plugin.as_str(), used.filter.as_str()),
        None => ("", ""),
    };
    match level {
        Level::Trace => tracing::trace!(target: "plugin", plugin, filter, "{message}"),
        Level::Debug => tracing::debug!(target: "plugin", plugin, filter, "{message}"),
        Level::Info => tracing::info!(target: "plugin", plugin, filter, "{message}"),
        Level::Warn => tracing::warn!(target: "plugin", plugin, filter, "{message}"),
        Level::Error => tracing::error!(target: "plugin", plugin, filter, "{message}"),
    }
}

/// True when a line of this level would be written.
pub(crate) fn enabled(level: Level) -> bool {
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

/// How many lines a filter may write in a second, over all workers. Lines beyond that are counted and dropped.
#[derive(Debug)]
pub(crate) struct LogLimit {
    lines: u32,
    start: Instant,
    /// The second in the upper half, its lines in the lower one.
    window: AtomicU64,
}

impl LogLimit {
    pub(crate) fn new(lines: u32) -> Self {
        Self {
            lines,
            start: Instant::now(),
            window: AtomicU64::new(0),
        }
    }

    /// Counts a line; false when it is one too many.
    fn admits(&self) -> bool {
        let second = self.start.elapsed().as_secs() & u64::from(u32::MAX);
        let count = |window: u64| {
            let lines = if window >> 32 == second {
                window & u64::from(u32::MAX)
            } else {
                0
            };
            Some(second << 32 | (lines + 1).min(u64::from(u32::MAX)))
        };
        let before = self
            .window
            .try_update(Ordering::Relaxed, Ordering::Relaxed, count)
            .unwrap_or_default();
        self.lines > 0 && (before >> 32 != second || before & u64::from(u32::MAX) < u64::from(self.lines))
    }
}

const LONGEST_LINE: usize = 8 << 10;

//! Why a call failed: the closed reason, and what people need to find the cause.

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use weir_filter::FailureReason;

use crate::limits::MemoryMeter;

/// Why a call failed; the instance is not to be used again.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) reason: FailureReason,
    pub(crate) message: String,
}

impl Fault {
    /// True when it says something about the plugin: a full engine does not.
    pub(crate) fn is_of_plugin(&self) -> bool {
        self.reason != FailureReason::Exhausted
    }

    /// Names the cause of a failed call; `other` is the reason when none of the limits was.
    #[cold]
    pub(crate) fn of(error: &wasmtime::Error, meter: &MemoryMeter, other: FailureReason) -> Self {
        let trap = error.downcast_ref::<Trap>();
        let reason = if error.is::<PoolConcurrencyLimitError>() {
            FailureReason::Exhausted
        } else if trap == Some(&Trap::Interrupt) {
            FailureReason::Deadline
        } else if meter.refused() {
            FailureReason::Memory
        } else {
            other
        };
        let cause = trap.map_or_else(|| error.root_cause().to_string(), ToString::to_string);
        let message = match error.downcast_ref::<WasmBacktrace>() {
            Some(backtrace) => format!("{cause}\n{backtrace}"),
            None => cause,
        };
        Self { reason, message }
    }
}

//! Capability `clock`: wall time, and a clock that never goes back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::Result;

use super::{Caller, Functions};

pub(super) fn link(functions: &mut Functions<'_>) -> Result<()> {
    functions.func_wrap("now", |_: Caller<'_>, (): ()| {
        Ok((nanoseconds(
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        ),))
    })?;
    let origin = Instant::now();
    functions.func_wrap("monotonic", move |_: Caller<'_>, (): ()| {
        Ok((nanoseconds(origin.elapsed()),))
    })
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

//! Host functions that need a grant. A component imports only those that its code calls.

use std::time::Duration;

pub mod grpc;
pub mod kv;
pub mod metrics;
pub mod upstream;

/// Lines in the gateway's own log, marked with the plugin's name. Capability `log`.
pub mod log {
    pub use crate::bindings::weir::policy::log::{Level, enabled, write};

    /// Writes a line for people who debug.
    pub fn debug(message: &str) {
        write(Level::Debug, message);
    }

    /// Writes a line for people who operate.
    pub fn info(message: &str) {
        write(Level::Info, message);
    }

    /// Writes a line about something that should be looked at.
    pub fn warn(message: &str) {
        write(Level::Warn, message);
    }

    /// Writes a line about something that failed.
    pub fn error(message: &str) {
        write(Level::Error, message);
    }
}

/// Wall and monotonic time. Capability `clock`.
pub mod clock {
    use std::time::Duration;

    use crate::bindings::weir::policy::clock as host;

    /// Time since the Unix epoch.
    pub fn now() -> Duration {
        Duration::from_nanos(host::now())
    }

    /// Time of a clock that never goes back.
    pub fn monotonic() -> Duration {
        Duration::from_nanos(host::monotonic())
    }
}

/// Random numbers. Capability `random`.
pub mod random {
    pub use crate::bindings::weir::policy::random::{bytes, next};
}

/// Variables of the gateway's process that the grant names. Capability `environment`.
pub mod environment {
    pub use crate::bindings::weir::policy::environment::get;
}

/// Append-only outputs, by position in the grant. Capability `sink`.
pub mod sink {
    pub use crate::bindings::weir::policy::sink::{Error, write};
}

/// Whole milliseconds, rounded up and at least one: 0 has a meaning of its own in the contract.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    let whole = duration.as_nanos().div_ceil(1_000_000).max(1);
    u64::try_from(whole).unwrap_or(u64::MAX)
}

/// A timeout in the contract's terms.
fn timeout(duration: Duration) -> u32 {
    u32::try_from(milliseconds(duration)).unwrap_or(u32::MAX)
}

fn field(name: &str, value: &[u8]) -> crate::Field {
    crate::Field {
        name: name.to_owned(),
        value: value.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_time_never_becomes_the_zero_that_means_something_else() {
        let check = |duration: Duration, expect: u64| assert_eq!(milliseconds(duration), expect);
        check(Duration::ZERO, 1);
        check(Duration::from_nanos(1), 1);
        check(Duration::from_millis(20), 20);
        check(Duration::from_micros(20_001), 21);
        check(Duration::MAX, u64::MAX);
        assert_eq!(timeout(Duration::MAX), u32::MAX);
    }
}

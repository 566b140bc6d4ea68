//! Host functions that need a grant. A component imports only those that its policy calls.

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

/// Calls to backends. Capability `upstream`; specified, and not offered by every gateway version.
pub mod upstream {
    pub use crate::bindings::weir::policy::upstream::{Answer, Call, Error, fetch};
}

/// A store shared by all workers. Capability `kv`; specified, and not offered by every gateway version.
pub mod kv {
    pub use crate::bindings::weir::policy::kv::{
        Entry, Error, compare_and_set, delete, get, increment, keys, set,
    };
}

/// Metrics of the plugin's own. Capability `metrics`; specified, and not offered by every gateway version.
pub mod metrics {
    pub use crate::bindings::weir::policy::metrics::{Label, add, observe, set};
}

//! Why a filter failed: one closed list, from the runtime to the access log.

use std::fmt;

/// The kinds of failure of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// The guest trapped.
    Trap,
    /// One call used more CPU time than its deadline.
    Deadline,
    /// One call took longer than its timeout, host waits included.
    Timeout,
    /// The guest wanted more memory than its limit.
    Memory,
    /// No instance was free and no more are allowed.
    Exhausted,
    /// An instance could not be made or refused its configuration.
    Start,
    /// Its plugin has failed too often lately; it is tried again after a while.
    Backoff,
    /// The plugin's artifact is not there.
    Missing,
    /// The plugin's artifact is no plugin, or not the one that is pinned or signed.
    Load,
    /// The plugin wants what it was not granted.
    Denied,
    /// The body was larger than the filter's limit.
    BodyTooLarge,
    /// The filter said `reply` without staging one.
    NoReply,
}

impl FailureReason {
    /// Every reason there is.
    pub const ALL: [Self; 12] = [
        Self::Trap,
        Self::Deadline,
        Self::Timeout,
        Self::Memory,
        Self::Exhausted,
        Self::Start,
        Self::Backoff,
        Self::Missing,
        Self::Load,
        Self::Denied,
        Self::BodyTooLarge,
        Self::NoReply,
    ];

    /// The name in logs, metrics and reply details.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "filter_trap",
            Self::Deadline => "filter_deadline",
            Self::Memory => "filter_memory",
            Self::Timeout => "filter_timeout",
            Self::Exhausted => "filter_exhausted",
            Self::Start => "filter_start",
            Self::Backoff => "filter_backoff",
            Self::Missing => "filter_missing",
            Self::Load => "filter_load",
            Self::Denied => "filter_denied",
            Self::BodyTooLarge => "filter_body_too_large",
            Self::NoReply => "filter_no_reply",
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure of one filter in one exchange.
#[derive(Debug, thiserror::Error)]
#[error("filter {filter}: {reason}: {message}")]
pub struct FilterError {
    /// The filter's name.
    pub filter: String,
    /// The kind of failure.
    pub reason: FailureReason,
    /// More about it, for the log; never sent to a client.
    pub message: String,
}

//! Why the gateway itself produced a response: one closed list.

use std::fmt;

use crate::FailureReason;

/// Why a response was made by the gateway and not by the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request breaks HTTP in a way that is unsafe to forward.
    BadRequest,
    /// No route matched.
    NoRoute,
    /// The rule has nothing to forward to, or its backend reference did not resolve.
    NoBackend,
    /// The cluster has no ready endpoint.
    NoEndpoint,
    /// No connection to the endpoint could be opened.
    UpstreamConnect,
    /// The endpoint closed or broke the protocol before its response head was complete.
    UpstreamReset,
    /// The endpoint did not answer in time.
    UpstreamTimeout,
    /// The client's body ended early.
    DownstreamReset,
    /// The request or protocol feature is not supported.
    Unsupported,
    /// A filter replied.
    FilterReply,
    /// A filter failed closed.
    Filter(FailureReason),
}

impl Reason {
    /// The name in logs, metrics and reply details.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::NoRoute => "no_route",
            Self::NoBackend => "no_backend",
            Self::NoEndpoint => "no_endpoint",
            Self::UpstreamConnect => "upstream_connect",
            Self::UpstreamReset => "upstream_reset",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::DownstreamReset => "downstream_reset",
            Self::Unsupported => "unsupported",
            Self::FilterReply => "filter_reply",
            Self::Filter(reason) => reason.as_str(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

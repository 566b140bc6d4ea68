//! Upstreams: HTTP/1.1 keep-alive connections per endpoint, owned by one worker.
//!
//! hyper's client parses; its connection is polled inside the request that uses it, never spawned, so a
//! response wakes exactly one task.

mod connection;
mod pool;

pub(crate) use connection::UpstreamBody;
pub(crate) use pool::{Answer, Pool, Pools};

use std::io;
use std::time::Duration;

use weir_filter::Reason;

/// How long a connection may take to open.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why an endpoint gave no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("cannot connect to {endpoint}: {source}")]
    Connect { endpoint: String, source: io::Error },
    #[error("{endpoint} broke off: {source}")]
    Reset { endpoint: String, source: hyper::Error },
    #[error("{endpoint} closed the connection before its response head was complete")]
    Closed { endpoint: String },
    #[error("{endpoint} sent no response head in time")]
    Timeout { endpoint: String },
}

impl UpstreamError {
    pub(crate) const fn reason(&self) -> Reason {
        match self {
            Self::Connect { .. } => Reason::UpstreamConnect,
            Self::Reset { .. } | Self::Closed { .. } => Reason::UpstreamReset,
            Self::Timeout { .. } => Reason::UpstreamTimeout,
        }
    }
}

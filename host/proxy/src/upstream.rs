//! Upstreams: connections per endpoint, owned by one worker.
//!
//! Requests go over HTTP/1.1 by our own client, because it writes a request straight from the exchange and reads a response straight
//! into it: nothing is copied, queued or woken in between (`docs/adr/0006-own-upstream-client.md`).
//! Streams of filters go over HTTP/2 by hyper's.

mod body;
mod chunked;
mod connection;
mod head;
mod http2;
mod outgoing;
mod pool;
mod send;

pub(crate) use body::UpstreamBody;
pub(crate) use outgoing::Outgoing;
pub(crate) use pool::{Answer, Pool, Pools};
pub(crate) use send::WholeRequest;

use std::io;
use std::time::Duration;

use weir_filter::Reason;

use crate::body::BodyError;

/// How long a connection may take to open.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why an endpoint gave no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("cannot connect to {endpoint}: {source}")]
    Connect { endpoint: String, source: io::Error },
    #[error("{endpoint} broke off: {source}")]
    Reset { endpoint: String, source: io::Error },
    #[error("{endpoint} does not speak HTTP/1.1: {source}")]
    Malformed { endpoint: String, source: Malformed },
    #[error("the request body broke off: {0}")]
    RequestBody(BodyError),
    #[error("{endpoint} sent no response head in time")]
    Timeout { endpoint: String },
}

impl UpstreamError {
    pub(crate) const fn reason(&self) -> Reason {
        match self {
            Self::Connect { .. } => Reason::UpstreamConnect,
            Self::Reset { .. } | Self::Malformed { .. } => Reason::UpstreamReset,
            Self::RequestBody(_) => Reason::DownstreamReset,
            Self::Timeout { .. } => Reason::UpstreamTimeout,
        }
    }
}

/// What is wrong with bytes that should be a response (RFC 9112).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the response head is malformed")]
    Head,
    #[error("the response head is larger than {} KiB", head::MAX_HEAD >> 10)]
    HeadTooLarge,
    #[error("content-length is malformed or stands twice")]
    ContentLength,
    #[error("transfer-encoding is not exactly `chunked`, or content-length stands beside it")]
    TransferEncoding,
    #[error("it switched protocols unasked")]
    Switched,
    #[error("a chunk is malformed")]
    Chunk,
    #[error("the trailer section is malformed or too large")]
    Trailers,
}

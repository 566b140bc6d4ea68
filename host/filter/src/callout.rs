//! How filters reach backends: what they ask of the proxy, and how it answers.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tokio::sync::mpsc;

/// A way to the clusters of a gateway, for the filters of one worker. Cheap to hold; a request through it does not
/// outlive its future or stream.
pub trait Callouts: Send + Sync + fmt::Debug {
    /// Sends a request and reads the whole response.
    fn fetch(&self, cluster: &str, request: CalloutRequest) -> FetchFuture;

    /// Opens an HTTP/2 stream. Never waits: whether an endpoint can be reached shows in the first event.
    fn stream(&self, cluster: &str, request: CalloutRequest) -> CalloutStream;
}

/// What [`Callouts::fetch`] answers. Dropping it ends the callout.
pub type FetchFuture = Pin<Box<dyn Future<Output = Result<CalloutResponse, CalloutError>> + Send>>;

/// A request of a filter. Framing fields belong to the gateway and are not in `headers`.
#[derive(Clone, Debug)]
pub struct CalloutRequest {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The host the endpoint sees; the cluster's name when empty.
    pub authority: String,
    /// The fields.
    pub headers: HeaderMap,
    /// The body; for a stream, what is sent first.
    pub body: Bytes,
    /// How long it may take. A stream is bounded by its owner.
    pub timeout: Duration,
    /// The largest body of the response, in bytes.
    pub largest_response: u64,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct CalloutResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Its trailers; empty without.
    pub trailers: HeaderMap,
}

/// Why a callout gave no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalloutError {
    /// No such cluster, no endpoint in it, or none that can be reached.
    #[error("no endpoint can be reached")]
    Connect,
    /// Its time is over.
    #[error("it took too long")]
    Timeout,
    /// The response is larger than allowed.
    #[error("the response is too large")]
    TooLarge,
    /// The endpoint broke off or broke the protocol.
    #[error("the endpoint broke off")]
    Reset,
    /// The request cannot be sent as it is.
    #[error("the request is malformed")]
    Invalid,
}

impl CalloutError {
    /// The name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::Reset => "reset",
            Self::Invalid => "invalid",
        }
    }
}

/// Both halves of an HTTP/2 stream. Dropping it resets the stream; dropping the sender alone ends its half.
#[derive(Debug)]
pub struct CalloutStream {
    /// What is sent, with back-pressure.
    pub sender: Option<mpsc::Sender<Bytes>>,
    /// What arrives, with back-pressure. Closed after `Trailers`, `Failed`, or the end of a stream without trailers.
    pub events: mpsc::Receiver<StreamEvent>,
}

/// What arrives on a stream.
#[derive(Clone, Debug)]
pub enum StreamEvent {
    /// The response head.
    Head(StatusCode, HeaderMap),
    /// A piece of its body.
    Data(Bytes),
    /// The end, with these fields.
    Trailers(HeaderMap),
    /// The stream broke.
    Failed(CalloutError),
}

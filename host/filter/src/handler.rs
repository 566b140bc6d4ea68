//! What answers a share of a route's requests in place of an upstream.
//!
//! A handler is no filter: it has no place in a chain and no phases. The chain runs around it as around an upstream.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Method, StatusCode};
use http_body::{Body, Frame};

use crate::{Callouts, FilterError};

/// One configured use of a plugin that answers requests itself, shared by all workers.
pub trait Handler: Send + Sync + fmt::Debug {
    /// The name, unique in its snapshot.
    fn name(&self) -> &str;

    /// Answers one request, on the thread that runs the exchange. Dropping the future ends the handler where it
    /// stands.
    fn handle(&self, request: HandlerRequest) -> HandlerFuture;
}

/// What [`Handler::handle`] answers, once the head is there.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<HandlerResponse, HandlerError>>>>;

/// The body of a request, pulled as the handler reads it.
pub type RequestBody = Pin<Box<dyn Body<Data = Bytes, Error = BodyError>>>;

/// Why a body broke off.
pub type BodyError = Box<dyn Error + Send + Sync>;

/// A request for a handler.
pub struct HandlerRequest {
    /// The method.
    pub method: Method,
    /// How the client reached the gateway.
    pub scheme: Scheme,
    /// The host and port that the client asked for.
    pub authority: String,
    /// Path and query.
    pub path: PathAndQuery,
    /// The fields, without host and framing; `content-length` when the length is known.
    pub headers: HeaderMap,
    /// The body, if there is one.
    pub body: Option<RequestBody>,
    /// The way to backends.
    pub callouts: Option<Arc<dyn Callouts>>,
}

impl fmt::Debug for HandlerRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The answer of a handler.
pub struct HandlerResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its fields; a `content-length` among them is a promise that the caller has to check.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Box<dyn HandlerBody>,
}

impl fmt::Debug for HandlerResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// The body of an answer. Reading it drives the handler; dropping it ends the handler where it stands.
pub trait HandlerBody {
    /// The next piece, trailers last; `None` at the end. After an error nothing follows.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HandlerError>>>;

    /// What the handler still wants to do after its whole answer was read, within its limits; `None` when nothing.
    fn rest(self: Box<Self>) -> Option<HandlerRest>;
}

/// The work of a handler after its answer. Dropping it ends the handler.
pub type HandlerRest = Pin<Box<dyn Future<Output = Result<(), FilterError>>>>;

/// Why a handler gave no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// It failed.
    #[error(transparent)]
    Failed(#[from] FilterError),
    /// The request's body broke off.
    #[error("the request body broke off: {0}")]
    RequestBody(BodyError),
}

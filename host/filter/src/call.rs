//! One phase call: what a filter is given, and how it answers, at once or later.

use std::any::Any;
use std::fmt;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::{Action, Exchange, FilterError, Phases};

/// Which phase a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reads and edits the request head; may plan the body.
    RequestHead,
    /// Reads a piece of the request body.
    RequestBody(Chunk),
    /// Reads and edits the trailers of the request.
    RequestTrailers,
    /// Reads and edits the response head; may plan the body.
    ResponseHead,
    /// Reads a piece of the response body.
    ResponseBody(Chunk),
    /// Reads and edits the trailers of the response.
    ResponseTrailers,
    /// Sees the finished exchange.
    Log,
}

/// A piece of a body, or the whole of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The bytes; may be empty at the end.
    pub bytes: Bytes,
    /// Nothing follows.
    pub end: bool,
}

impl Phase {
    /// The flag that stands for it.
    pub const fn flag(&self) -> Phases {
        match self {
            Self::RequestHead => Phases::REQUEST_HEAD,
            Self::RequestBody(_) => Phases::REQUEST_BODY,
            Self::RequestTrailers => Phases::REQUEST_TRAILERS,
            Self::ResponseHead => Phases::RESPONSE_HEAD,
            Self::ResponseBody(_) => Phases::RESPONSE_BODY,
            Self::ResponseTrailers => Phases::RESPONSE_TRAILERS,
            Self::Log => Phases::LOG,
        }
    }

    /// The name in logs and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::RequestHead => "request_head",
            Self::RequestBody(_) => "request_body",
            Self::RequestTrailers => "request_trailers",
            Self::ResponseHead => "response_head",
            Self::ResponseBody(_) => "response_body",
            Self::ResponseTrailers => "response_trailers",
            Self::Log => "log",
        }
    }
}

/// What a filter is given for one phase call.
#[derive(Debug)]
pub struct Call {
    /// The phase.
    pub phase: Phase,
    /// The exchange; it is the call's alone until it is given back.
    pub exchange: Exchange,
    /// What the filter kept of this exchange from its last call.
    pub kept: Option<Kept>,
}

/// What a filter keeps from one phase of an exchange to the next. It is dropped when the exchange is over.
pub struct Kept(Box<dyn Any>);

impl Kept {
    /// Keeps a value.
    pub fn new(value: impl Any) -> Self {
        Self(Box::new(value))
    }

    /// The value, if it is of that type.
    pub fn take<T: Any>(self) -> Option<T> {
        self.0.downcast().ok().map(|it| *it)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

/// How far a call came.
#[derive(Debug)]
pub enum Progress {
    /// It is over.
    Done(Finished),
    /// It waits, for a backend or for its turn on the processor.
    Waiting(Box<dyn Waiting>),
}

/// A call that is over.
#[derive(Debug)]
pub struct Finished {
    /// The exchange, given back.
    pub exchange: Exchange,
    /// What the filter keeps for its next call.
    pub kept: Option<Kept>,
    /// What it said.
    pub result: Result<Action, FilterError>,
}

/// A call that waits. Dropping it ends it and loses its exchange.
pub trait Waiting: fmt::Debug {
    /// Goes on with the call. Must not be asked again once it is ready.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Finished>;

    /// Ends the call where it stands and gives the exchange back.
    fn abandon(self: Box<Self>) -> Exchange;
}

//! The current exchange: request, response and what belongs to both.

use std::borrow::Borrow;

use crate::bindings::weir::policy::exchange as host;
use crate::{
    BodyAction, Field, HeadAction, Note, Request, RequestTrailers, Response, ResponseTrailers, Whole,
};

pub use crate::bindings::weir::policy::exchange::{AttributeId as Attribute, Value};

/// The one request and its response that a phase call is about.
#[derive(Debug)]
#[non_exhaustive]
pub struct Exchange {
    /// What the client asked.
    pub request: Request,
    /// What is answered.
    pub response: Response,
    /// What follows the body of the request.
    pub request_trailers: RequestTrailers,
    /// What follows the body of the response.
    pub response_trailers: ResponseTrailers,
}

impl Exchange {
    /// The exchange of the running phase, for code that gets none handed, such as callbacks of a template
    /// engine. Outside of a phase its functions trap.
    pub const fn current() -> Self {
        Self {
            request: Request::current(),
            response: Response::current(),
            request_trailers: RequestTrailers::current(),
            response_trailers: ResponseTrailers::current(),
        }
    }

    /// A fact about the exchange; `None` when it is not known (yet).
    pub fn attribute(&self, attribute: Attribute) -> Option<Value> {
        host::attribute(attribute)
    }

    /// Stages a reply. Return what it gives: `exchange.reply(Reply::new(403)).into()`.
    pub fn reply(&mut self, reply: impl Borrow<Reply>) -> Replied {
        let reply = reply.borrow();
        host::reply(reply.status, &reply.headers, &reply.body);
        Replied(())
    }

    /// Stages new bytes for the body or chunk of the current body phase.
    pub fn replace_body(&mut self, bytes: impl AsRef<[u8]>) {
        host::replace_body(bytes.as_ref());
    }

    /// State of this filter for this exchange, from an earlier phase.
    pub fn note(&self, key: &str) -> Option<Vec<u8>> {
        host::note_get(key)
    }

    /// Keeps state of this filter for the later phases of this exchange.
    pub fn set_note(&mut self, key: &str, value: impl AsRef<[u8]>) {
        host::note_set(key, value.as_ref());
    }

    /// The typed note, as [`set_state`](Self::set_state) kept it in an earlier phase.
    pub fn state<N: Note>(&self) -> Option<N> {
        N::from_bytes(&self.note(N::KEY)?)
    }

    /// Keeps a typed note for the later phases of this exchange; declare it with [`note!`](crate::note!).
    pub fn set_state<N: Note>(&mut self, note: &N) {
        self.set_note(N::KEY, note.to_bytes());
    }

    /// A value that any filter of this exchange shared.
    pub fn shared(&self, namespace: &str, key: &str) -> Option<Vec<u8>> {
        host::shared_get(namespace, key)
    }

    /// Shares a value with later filters and access logs.
    pub fn set_shared(&mut self, namespace: &str, key: &str, value: impl AsRef<[u8]>) {
        host::shared_set(namespace, key, value.as_ref());
    }
}

/// A response made by the policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    status: u16,
    headers: Vec<Field>,
    body: Vec<u8>,
}

impl Reply {
    /// A reply without fields or body.
    pub const fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(Field {
            name: name.to_owned(),
            value: value.as_ref().to_vec(),
        });
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a body of plain text, with its content type.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.header("content-type", "text/plain").body(text.into())
    }
}

/// Proof that a reply was staged; becomes the action that sends it.
#[derive(Debug)]
#[must_use = "a staged reply is sent only when the phase returns it: add `.into()`"]
pub struct Replied(());

impl From<Replied> for HeadAction {
    fn from(_: Replied) -> Self {
        Self::Reply
    }
}

impl From<Replied> for BodyAction {
    fn from(_: Replied) -> Self {
        Self::Reply
    }
}

impl From<Whole> for HeadAction {
    fn from(whole: Whole) -> Self {
        Self::Whole(whole)
    }
}

/// Text of bytes; a copy only where they are not UTF-8.
pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

//! The current exchange: one request, its response, and what is known about both.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri, Version};

use crate::{Reason, Reply, StepIndex};

/// The one request and its response that a phase call is about.
///
/// A handle to boxed state, so that a runtime can take the whole exchange into its own store for the
/// time of a call by swapping one pointer.
#[derive(Debug, Default)]
pub struct Exchange(Box<ExchangeState>);

impl Exchange {
    /// Starts an exchange with its request head.
    pub fn new(request: RequestHead, facts: Facts) -> Self {
        Self(Box::new(ExchangeState {
            request,
            facts,
            ..ExchangeState::default()
        }))
    }
}

impl Deref for Exchange {
    type Target = ExchangeState;

    fn deref(&self) -> &ExchangeState {
        &self.0
    }
}

impl DerefMut for Exchange {
    fn deref_mut(&mut self) -> &mut ExchangeState {
        &mut self.0
    }
}

/// The state behind an [`Exchange`].
#[derive(Debug, Default)]
pub struct ExchangeState {
    /// What the client asked. Edits count until the request was sent upstream.
    pub request: RequestHead,
    /// What is answered. Edits count until the head was sent.
    pub response: ResponseHead,
    /// What is known about the exchange.
    pub facts: Facts,
    pub(crate) step: StepIndex,
    reply: Option<Reply>,
    body: Option<Bytes>,
    notes: Vec<Note>,
    shared: Vec<Shared>,
}

/// State of one filter.
#[derive(Debug)]
struct Note {
    step: StepIndex,
    key: Box<str>,
    value: Bytes,
}

/// A value that any filter may read.
#[derive(Debug)]
struct Shared {
    namespace: Box<str>,
    key: Box<str>,
    value: Bytes,
}

impl ExchangeState {
    /// Stages a reply for an action that says so; replaces one staged before.
    pub fn stage_reply(&mut self, reply: Reply) {
        self.reply = Some(reply);
    }

    /// Takes the staged reply.
    pub fn take_reply(&mut self) -> Option<Reply> {
        self.reply.take()
    }

    /// Stages new bytes for the body or chunk of the current phase.
    pub fn stage_body(&mut self, bytes: Bytes) {
        self.body = Some(bytes);
    }

    /// Takes the staged bytes.
    pub fn take_body(&mut self) -> Option<Bytes> {
        self.body.take()
    }

    /// State of the running filter, from an earlier phase.
    pub fn note(&self, key: &str) -> Option<&Bytes> {
        self.notes
            .iter()
            .find(|note| note.step == self.step && &*note.key == key)
            .map(|note| &note.value)
    }

    /// Keeps state of the running filter for its later phases.
    pub fn set_note(&mut self, key: &str, value: Bytes) {
        let step = self.step;
        match self
            .notes
            .iter_mut()
            .find(|note| note.step == step && &*note.key == key)
        {
            Some(note) => note.value = value,
            None => self.notes.push(Note {
                step,
                key: key.into(),
                value,
            }),
        }
    }

    /// Bytes that the notes of the running filter take, for whoever bounds them.
    pub fn notes_size(&self) -> usize {
        let own = self.notes.iter().filter(|note| note.step == self.step);
        own.map(|note| note.key.len() + note.value.len()).sum()
    }

    /// Bytes that all shared values take, for whoever bounds them.
    pub fn shared_size(&self) -> usize {
        self.shared
            .iter()
            .map(|it| it.namespace.len() + it.key.len() + it.value.len())
            .sum()
    }

    /// A value that any filter shared.
    pub fn shared(&self, namespace: &str, key: &str) -> Option<&Bytes> {
        self.shared
            .iter()
            .find(|it| &*it.namespace == namespace && &*it.key == key)
            .map(|it| &it.value)
    }

    /// Shares a value with later filters and access logs.
    pub fn set_shared(&mut self, namespace: &str, key: &str, value: Bytes) {
        match self
            .shared
            .iter_mut()
            .find(|it| &*it.namespace == namespace && &*it.key == key)
        {
            Some(known) => known.value = value,
            None => self.shared.push(Shared {
                namespace: namespace.into(),
                key: key.into(),
                value,
            }),
        }
    }
}

/// The request head. The host lives in the `host` field, for every protocol version.
#[derive(Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// Origin form: path and query only.
    pub uri: Uri,
    /// As received.
    pub version: Version,
    /// All fields but framing, which the gateway owns.
    pub headers: HeaderMap,
}

impl Default for RequestHead {
    fn default() -> Self {
        Self {
            method: Method::GET,
            uri: Uri::default(),
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
        }
    }
}

impl RequestHead {
    /// The path with its query.
    pub fn path_and_query(&self) -> &str {
        self.uri.path_and_query().map_or("/", PathAndQuery::as_str)
    }

    /// Sets path and query; false (and no change) when it is none.
    pub fn set_path_and_query(&mut self, path: &str) -> bool {
        let parsed = path
            .starts_with('/')
            .then(|| PathAndQuery::try_from(path))
            .and_then(Result::ok);
        let Some(path) = parsed else { return false };
        self.uri = Uri::from(path);
        true
    }

    /// The host and port the client asked for; empty when it is not text.
    pub fn authority(&self) -> &str {
        self.headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default()
    }

    /// Sets the host; false (and no change) when it cannot be one.
    pub fn set_authority(&mut self, authority: &str) -> bool {
        if authority.parse::<http::uri::Authority>().is_err() {
            return false;
        }
        HeaderValue::from_str(authority).is_ok_and(|value| {
            self.headers.insert(header::HOST, value);
            true
        })
    }
}

/// The response head.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// `None` until there is a response.
    pub status: Option<StatusCode>,
    /// All fields but framing, which the gateway owns.
    pub headers: HeaderMap,
}

/// What is known about an exchange.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The client.
    pub downstream_remote: SocketAddr,
    /// Where the client connected to.
    pub downstream_local: SocketAddr,
    /// Unique among the connections of this process.
    pub connection_id: u64,
    /// When the request head was read.
    pub start: Instant,
    /// From `start` to the response head.
    pub response_after: Option<Duration>,
    /// Request body bytes.
    pub bytes_received: u64,
    /// Response body bytes.
    pub bytes_sent: u64,
    /// The listener's name.
    pub listener: Option<Arc<str>>,
    /// The route rule's name.
    pub route: Option<Arc<str>>,
    /// The cluster asked.
    pub upstream_cluster: Option<Arc<str>>,
    /// The endpoint asked.
    pub upstream_remote: Option<SocketAddr>,
    /// Our side towards the endpoint.
    pub upstream_local: Option<SocketAddr>,
    /// Why the gateway made the response itself.
    pub reason: Option<Reason>,
    /// More about the reason.
    pub reason_detail: Option<String>,
}

impl Facts {
    /// What is known when a request head was read.
    pub fn new(downstream_remote: SocketAddr, downstream_local: SocketAddr, connection_id: u64) -> Self {
        Self {
            downstream_remote,
            downstream_local,
            connection_id,
            start: Instant::now(),
            response_after: None,
            bytes_received: 0,
            bytes_sent: 0,
            listener: None,
            route: None,
            upstream_cluster: None,
            upstream_remote: None,
            upstream_local: None,
            reason: None,
            reason_detail: None,
        }
    }
}

impl Default for Facts {
    fn default() -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self::new(nowhere, nowhere, 0)
    }
}

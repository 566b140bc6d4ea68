//! The current exchange: one request, its response, and what is known about both.

use std::any::Any;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, StatusCode, Uri, Version};

use crate::{Callouts, Reason, Reply, StepIndex};

/// The one request and its response that a phase call is about.
///
/// A handle to boxed state, so that a runtime can take the whole exchange into its own store for the
/// time of a call by swapping one pointer.
#[derive(Debug, Default)]
pub struct Exchange(Box<ExchangeState>);

impl Exchange {
    /// Starts an exchange with its request head.
    pub fn new(request: RequestHead, facts: Facts) -> Self {
        // Each field at its place: nothing is made here to be thrown away.
        Self(Box::new(ExchangeState {
            request,
            facts,
            response: ResponseHead::default(),
            request_trailers: HeaderMap::new(),
            response_trailers: HeaderMap::new(),
            callouts: None,
            step: StepIndex::default(),
            held: Vec::new(),
            callouts_made: Vec::new(),
            reply: None,
            body: None,
            notes: Vec::new(),
            shared: Vec::new(),
        }))
    }

    /// A copy for somebody who only looks: everything but host objects, the way to backends, and what was staged.
    pub fn fork(&self) -> Self {
        Self(Box::new(ExchangeState {
            request: self.request.clone(),
            response: self.response.clone(),
            request_trailers: self.request_trailers.clone(),
            response_trailers: self.response_trailers.clone(),
            facts: self.facts.clone(),
            step: self.step,
            shared: self.shared.clone(),
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
    /// Fields after the request's body; empty until they arrived.
    pub request_trailers: HeaderMap,
    /// Fields after the response's body; empty until they arrived.
    pub response_trailers: HeaderMap,
    /// What is known about the exchange.
    pub facts: Facts,
    /// The way to backends; there when a filter of the chain makes callouts.
    pub callouts: Option<Arc<dyn Callouts>>,
    pub(crate) step: StepIndex,
    held: Vec<Held>,
    callouts_made: Vec<(StepIndex, u32)>,
    reply: Option<Box<Reply>>,
    body: Option<Bytes>,
    notes: Vec<Note>,
    shared: Vec<Shared>,
}

/// A host object of one filter that lives as long as the exchange, such as a stream to a backend.
struct Held {
    step: StepIndex,
    object: Option<Box<dyn Any + Send>>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

/// State of one filter.
#[derive(Debug)]
struct Note {
    step: StepIndex,
    key: Box<str>,
    value: Bytes,
}

/// A value that any filter may read.
#[derive(Clone, Debug)]
struct Shared {
    namespace: Box<str>,
    key: Box<str>,
    value: Bytes,
}

impl ExchangeState {
    /// Turns to the filter of another call. Whatever an earlier one staged before it failed is not this one's.
    pub(crate) fn begin(&mut self, step: StepIndex) {
        self.step = step;
        self.reply = None;
        self.body = None;
    }

    /// Stages a reply for an action that says so; replaces one staged before.
    pub fn stage_reply(&mut self, reply: Reply) {
        self.reply = Some(Box::new(reply));
    }

    /// Takes the staged reply.
    pub fn take_reply(&mut self) -> Option<Box<Reply>> {
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

    /// The staged reply, left where it is.
    pub fn staged_reply(&self) -> Option<&Reply> {
        self.reply.as_deref()
    }

    /// The staged bytes, left where they are.
    pub fn staged_body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    /// Takes over what a filter noted in another copy of the exchange.
    pub fn take_notes_of(&mut self, other: &mut Self) {
        self.notes = std::mem::take(&mut other.notes);
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

    /// Holds a host object for the running filter until the exchange is over; answers its number.
    pub fn hold<T: Any + Send>(&mut self, object: T) -> u32 {
        self.held.push(Held {
            step: self.step,
            object: Some(Box::new(object)),
        });
        u32::try_from(self.held.len() - 1).unwrap_or(u32::MAX)
    }

    /// Takes a held object of the running filter out, to use it or to end it.
    pub fn take_held<T: Any + Send>(&mut self, number: u32) -> Option<Box<T>> {
        let step = self.step;
        let held = self.held.get_mut(usize::try_from(number).ok()?)?;
        if held.step != step || !held.object.as_ref().is_some_and(|it| it.is::<T>()) {
            return None;
        }
        held.object.take()?.downcast().ok()
    }

    /// Puts an object back under its number.
    pub fn put_held<T: Any + Send>(&mut self, number: u32, object: Box<T>) {
        let held = usize::try_from(number).ok().and_then(|at| self.held.get_mut(at));
        if let Some(held) = held {
            held.object = Some(object);
        }
    }

    /// Counts a callout of the running filter; false when it has made `limit` already.
    pub fn count_callout(&mut self, limit: u32) -> bool {
        let step = self.step;
        let made = match self.callouts_made.iter_mut().find(|(it, _)| *it == step) {
            Some((_, made)) => made,
            None => {
                self.callouts_made.push((step, 0));
                let Some((_, made)) = self.callouts_made.last_mut() else {
                    return false;
                };
                made
            }
        };
        let allowed = *made < limit;
        if allowed {
            *made += 1;
        }
        allowed
    }

    /// A hash of all shared values, to compare two copies by.
    pub fn shared_hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for it in &self.shared {
            (&it.namespace, &it.key, &it.value).hash(&mut hasher);
        }
        hasher.finish()
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
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug, Default)]
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

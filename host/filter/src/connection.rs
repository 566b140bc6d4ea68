//! The seam for filters on the bytes of a connection: what one is, what it is given, and how it answers.
//!
//! Beside [`crate::Filter`], and built like it: a call may wait, and has the connection while it does.

mod chain;
mod run;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::{Callouts, Chunk, Exchange, Facts, FilterError, Kept};

pub use chain::{ConnectionChain, ConnectionStep};
pub use run::{ConnectionClosed, ConnectionRun};

bitflags::bitflags! {
    /// What a filter wants of a connection besides its opening. An event that is not named is never handed over.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ConnectionEvents: u8 {
        /// Bytes from the client.
        const DOWNSTREAM_DATA = 1;
        /// Bytes to the client.
        const UPSTREAM_DATA = 1 << 1;
        /// The connection is closed.
        const CLOSE = 1 << 2;
    }
}

/// One client connection, as its filters see it.
///
/// Addresses, notes, staged bytes, callouts and what a filter holds are the same things for a connection and for an
/// exchange, so it is kept as an exchange that never gets a request: a runtime takes it in as one.
#[derive(Debug, Default)]
pub struct Connection(Exchange);

impl Connection {
    /// A connection that was accepted. `callouts` is the way to backends, where a filter of its chain makes callouts.
    pub fn new(facts: Facts, callouts: Option<Arc<dyn Callouts>>) -> Self {
        let mut exchange = Exchange::default();
        exchange.facts = facts;
        exchange.callouts = callouts;
        Self(exchange)
    }

    /// Both addresses, the id, and the listener whose chain has the running filter.
    pub fn facts(&self) -> &Facts {
        &self.0.facts
    }

    /// Stages new bytes for the chunk of the current call.
    pub fn stage_data(&mut self, bytes: Bytes) {
        self.0.stage_body(bytes);
    }

    /// State of the running filter, from an earlier call.
    pub fn note(&self, key: &str) -> Option<&Bytes> {
        self.0.note(key)
    }

    /// Keeps state of the running filter for its later calls.
    pub fn set_note(&mut self, key: &str, value: Bytes) {
        self.0.set_note(key, value);
    }
}

impl From<Connection> for Exchange {
    fn from(connection: Connection) -> Self {
        connection.0
    }
}

/// Gives back what a runtime took in.
impl From<Exchange> for Connection {
    fn from(exchange: Exchange) -> Self {
        Self(exchange)
    }
}

/// Which event a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// A client connected; nothing was read yet.
    Opened,
    /// Bytes from the client.
    Downstream(Chunk),
    /// Bytes to the client.
    Upstream(Chunk),
    /// The connection is closed.
    Closed,
}

impl ConnectionEvent {
    /// The name in logs and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Opened => "connection",
            Self::Downstream(_) => "downstream_data",
            Self::Upstream(_) => "upstream_data",
            Self::Closed => "close",
        }
    }
}

/// What follows an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionAction {
    /// Go on: with the staged bytes, or with what came.
    Next,
    /// Close the connection, both ways.
    Close,
}

/// One configured use of a plugin on connections, shared by all workers.
pub trait ConnectionFilter: Send + Sync + fmt::Debug {
    /// The filter's name, unique in its snapshot.
    fn name(&self) -> &str;

    /// The events it wants.
    fn events(&self) -> ConnectionEvents;

    /// True when its calls may ask for backends.
    fn makes_callouts(&self) -> bool {
        false
    }

    /// Hands over one event, on the thread that serves the connection.
    ///
    /// A call that cannot finish at once answers [`ConnectionProgress::Waiting`] after it has arranged for `cx` to be
    /// woken. The connection comes back with the result, also with an error.
    fn call(&self, call: ConnectionCall, cx: &mut Context<'_>) -> ConnectionProgress;
}

/// What a filter is given for one event.
#[derive(Debug)]
pub struct ConnectionCall {
    /// The event.
    pub event: ConnectionEvent,
    /// The connection; it is the call's alone until it is given back.
    pub connection: Connection,
    /// What the filter kept of this connection from its last call.
    pub kept: Option<Kept>,
}

/// How far a call came.
#[derive(Debug)]
pub enum ConnectionProgress {
    /// It is over.
    Done(ConnectionFinished),
    /// It waits, for a backend or for its turn on the processor.
    Waiting(Box<dyn ConnectionWaiting>),
}

/// A call that is over.
#[derive(Debug)]
pub struct ConnectionFinished {
    /// The connection, given back.
    pub connection: Connection,
    /// What the filter keeps for its next call.
    pub kept: Option<Kept>,
    /// What it said.
    pub result: Result<ConnectionAction, FilterError>,
}

/// A call that waits. Dropping it ends it and loses its connection's notes.
pub trait ConnectionWaiting: fmt::Debug {
    /// Goes on with the call. Must not be asked again once it is ready.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionFinished>;

    /// Ends the call where it stands and gives the connection back.
    fn abandon(self: Box<Self>) -> Connection;
}

#[cfg(test)]
mod tests;

//! Filters on the bytes of a connection: what their author implements, and the connection they see.

use crate::bindings::l4::weir::policy::connection as host;
use crate::{Chunk, ConnectionAction, ConnectionEvents, Note};

/// One configured use of a filter on connections. Its calls for one connection never overlap.
///
/// Make it the component's with [`connection_filter!`](crate::connection_filter!). State of one connection
/// belongs into notes, never into the value, which all connections share.
pub trait ConnectionFilter: Sized + 'static {
    /// Parses and checks one configuration.
    ///
    /// # Errors
    /// With a text for people that names the field at fault; the configuration is then refused.
    fn configure(config: &[u8]) -> Result<Self, String>;

    /// The events this configuration needs besides the opening. One that is not named is never told.
    fn events(&self) -> ConnectionEvents {
        ConnectionEvents::empty()
    }

    /// A client connected; nothing was read yet.
    fn on_connection(&self, _connection: &mut Connection) -> ConnectionAction {
        ConnectionAction::Next
    }

    /// Bytes from the client, before the gateway reads them.
    fn on_downstream_data(&self, _connection: &mut Connection, _chunk: Chunk) -> ConnectionAction {
        ConnectionAction::Next
    }

    /// Bytes to the client, as they are about to be written.
    fn on_upstream_data(&self, _connection: &mut Connection, _chunk: Chunk) -> ConnectionAction {
        ConnectionAction::Next
    }

    /// The connection is closed.
    fn on_close(&self, _connection: &Connection) {}
}

/// The connection that a call is about.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connection {}

impl Connection {
    pub(crate) const fn current() -> Self {
        Self {}
    }

    /// The client's address and port.
    pub fn remote_address(&self) -> String {
        host::remote_address()
    }

    /// The address and port the client connected to.
    pub fn local_address(&self) -> String {
        host::local_address()
    }

    /// A number unique among the connections of this process.
    pub fn id(&self) -> u64 {
        host::id()
    }

    /// The listener's name.
    pub fn listener(&self) -> String {
        host::listener()
    }

    /// Stages new bytes for the chunk of the current call.
    pub fn replace_data(&mut self, bytes: impl AsRef<[u8]>) {
        host::replace_data(bytes.as_ref());
    }

    /// State of this filter for this connection, from an earlier call.
    pub fn note(&self, key: &str) -> Option<Vec<u8>> {
        host::note_get(key)
    }

    /// Keeps state of this filter for later calls of this connection.
    pub fn set_note(&mut self, key: &str, value: impl AsRef<[u8]>) {
        host::note_set(key, value.as_ref());
    }

    /// The typed note, as [`set_state`](Self::set_state) kept it.
    pub fn state<N: Note>(&self) -> Option<N> {
        N::from_bytes(&self.note(N::KEY)?)
    }

    /// Keeps a typed note for later calls of this connection.
    pub fn set_state<N: Note>(&mut self, note: &N) {
        self.set_note(N::KEY, note.to_bytes());
    }
}

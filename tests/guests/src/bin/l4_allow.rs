//! A connection filter: closes connections whose client's address is not among `allow=IP` words, without one of
//! which all may connect. `close-on=TEXT` closes on a chunk from the client that contains TEXT;
//! `upper-downstream` and `upper-upstream` turn the bytes from and to the client into upper case.

use std::net::{IpAddr, SocketAddr};

use weir_sdk::{Chunk, Connection, ConnectionAction, ConnectionEvents, ConnectionFilter};
use weir_test_guests::Options;

struct Allow {
    options: Options,
    addresses: Vec<IpAddr>,
}

impl ConnectionFilter for Allow {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let options = Options::read(
            config,
            &["allow=", "close-on=", "upper-downstream", "upper-upstream"],
        )?;
        let address = |text: &str| text.parse().map_err(|_| format!("allow={text}: expected an IP"));
        let addresses = options.all("allow").map(address).collect::<Result<_, _>>()?;
        Ok(Self { options, addresses })
    }

    fn events(&self) -> ConnectionEvents {
        let mut events = ConnectionEvents::empty();
        let reads = self.options.get("close-on").is_some() || self.options.has("upper-downstream");
        events.set(ConnectionEvents::DOWNSTREAM_DATA, reads);
        events.set(
            ConnectionEvents::UPSTREAM_DATA,
            self.options.has("upper-upstream"),
        );
        events
    }

    fn on_connection(&self, connection: &mut Connection) -> ConnectionAction {
        let client = connection.remote_address().parse::<SocketAddr>();
        let known = client.is_ok_and(|client| self.addresses.contains(&client.ip()));
        if known || self.addresses.is_empty() {
            ConnectionAction::Next
        } else {
            ConnectionAction::Close
        }
    }

    fn on_downstream_data(&self, connection: &mut Connection, chunk: Chunk) -> ConnectionAction {
        let forbidden = self.options.get("close-on").unwrap_or_default().as_bytes();
        let found = chunk
            .bytes
            .windows(forbidden.len().max(1))
            .any(|part| part == forbidden);
        if found {
            return ConnectionAction::Close;
        }
        if self.options.has("upper-downstream") {
            connection.replace_data(chunk.bytes.to_ascii_uppercase());
        }
        ConnectionAction::Next
    }

    fn on_upstream_data(&self, connection: &mut Connection, chunk: Chunk) -> ConnectionAction {
        connection.replace_data(chunk.bytes.to_ascii_uppercase());
        ConnectionAction::Next
    }
}

weir_sdk::connection_filter!(Allow);

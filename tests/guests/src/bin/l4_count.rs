//! A connection filter that counts the bytes of each connection in a note, and writes
//! `listener=… client=… up=N down=N ends=N` to sink 0 when it is closed: bytes from and to the client, and how many of
//! both directions said that they ended. It imports `sink`.

use weir_sdk::{Chunk, Connection, ConnectionAction, ConnectionEvents, ConnectionFilter, sink};

struct Count;

weir_sdk::note! {
    #[derive(Default)]
    struct Counts {
        up: usize,
        down: usize,
        ends: u8,
    }
}

impl ConnectionFilter for Count {
    fn configure(_: &[u8]) -> Result<Self, String> {
        Ok(Self)
    }

    fn events(&self) -> ConnectionEvents {
        ConnectionEvents::all()
    }

    fn on_connection(&self, connection: &mut Connection) -> ConnectionAction {
        connection.set_state(&Counts::default());
        ConnectionAction::Next
    }

    fn on_downstream_data(&self, connection: &mut Connection, chunk: Chunk) -> ConnectionAction {
        count(connection, |counts| counts.up += chunk.bytes.len(), chunk.end)
    }

    fn on_upstream_data(&self, connection: &mut Connection, chunk: Chunk) -> ConnectionAction {
        count(connection, |counts| counts.down += chunk.bytes.len(), chunk.end)
    }

    fn on_close(&self, connection: &Connection) {
        let line = match connection.state::<Counts>() {
            Some(Counts { up, down, ends }) => format!(
                "listener={} client={} up={up} down={down} ends={ends}\n",
                connection.listener(),
                connection.remote_address(),
            ),
            None => "the note is gone\n".to_owned(),
        };
        // A full or missing sink is the host's to count.
        let _ = sink::write(0, line.as_bytes());
    }
}

fn count(connection: &mut Connection, add: impl FnOnce(&mut Counts), end: bool) -> ConnectionAction {
    if let Some(mut counts) = connection.state::<Counts>() {
        add(&mut counts);
        counts.ends += u8::from(end);
        connection.set_state(&counts);
    }
    ConnectionAction::Next
}

weir_sdk::connection_filter!(Count);

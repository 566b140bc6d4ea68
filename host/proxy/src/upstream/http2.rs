//! HTTP/2 connections to one endpoint: few, shared by many streams of one worker.
//!
//! hyper's client; its tasks run on the worker. Without TLS, so the endpoint must know the protocol before (h2c).

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use super::head::MAX_HEAD;
use super::{Outgoing, Pool, UpstreamError};

/// How much of a response an endpoint may send ahead of its reader, per stream.
const STREAM_WINDOW: u32 = 128 << 10;

/// Never in the way: the windows of the streams bound what is held, and a stream that nobody reads must not hold up
/// its neighbours.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// How much of a request may wait in the connection, per stream.
const SEND_BUFFER: usize = 64 << 10;

/// Streams on a connection whose endpoint has not said yet how many it takes (RFC 9113 §6.5.2 wants no fewer).
const USUAL_STREAMS: usize = 100;

/// How long an endpoint may be silent on the level of TCP: no answer to what was sent, or to a probe. Pings of HTTP/2
/// would tell more, but gRPC servers close connections that ping more often than every five minutes.
const DEAD_AFTER: Duration = Duration::from_secs(20);

/// The HTTP/2 connections of one pool.
#[derive(Default)]
pub(super) struct Http2 {
    connections: RefCell<Vec<Rc<Connection>>>,
}

struct Connection {
    /// Empty while it is opened; why it could not be, for all who waited for it.
    sender: OnceCell<Result<SendRequest<Outgoing>, io::ErrorKind>>,
    streams: Cell<usize>,
    /// Streams that the endpoint takes at once.
    limit: Rc<Cell<usize>>,
    /// It gave a request back: it takes no more.
    retired: Cell<bool>,
    idle_sweeps: Cell<u32>,
}

/// One stream's place on a connection.
pub(crate) struct Lease(Rc<Connection>);

impl Http2 {
    pub(super) async fn stream(
        &self,
        pool: &Pool,
        mut request: Request<Outgoing>,
    ) -> Result<(Response<Incoming>, Rc<Lease>), UpstreamError> {
        let mut tries = 0;
        loop {
            let lease = Rc::new(self.lease());
            let opened = lease.0.sender.get_or_init(|| open(pool, &lease.0.limit)).await;
            let mut sender = match opened {
                Ok(sender) => sender.clone(),
                Err(kind) => return Err(pool.connect_error((*kind).into())),
            };
            request.body_mut().lease = Some(Rc::clone(&lease));
            let mut error = match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, lease)),
                Err(error) => error,
            };
            // A connection may go away between being chosen and being written to: then nothing was sent.
            request = match error.take_message() {
                Some(back) if tries == 0 => back,
                _ => {
                    return Err(UpstreamError::Reset {
                        endpoint: pool.endpoint().to_string(),
                        source: io::Error::other(error.into_error()),
                    });
                }
            };
            tries += 1;
            lease.0.retired.set(true);
        }
    }

    /// Closes connections without streams after so many sweeps, and forgets those that are gone.
    pub(super) fn sweep(&self, max_idle: u32) {
        self.connections.borrow_mut().retain(|connection| {
            let idle = match connection.streams.get() {
                0 => connection.idle_sweeps.get() + 1,
                _ => 0,
            };
            connection.idle_sweeps.set(idle);
            idle <= max_idle && !connection.is_gone()
        });
    }

    /// A place on the first connection with room, or on a new one.
    fn lease(&self) -> Lease {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| !connection.is_gone());
        let connection = connections
            .iter()
            .find(|connection| connection.streams.get() < connection.limit.get())
            .map(Rc::clone)
            .unwrap_or_else(|| {
                let connection = Rc::new(Connection::new());
                connections.push(Rc::clone(&connection));
                connection
            });
        connection.streams.update(|streams| streams + 1);
        Lease(connection)
    }
}

impl Connection {
    fn new() -> Self {
        Self {
            sender: OnceCell::new(),
            streams: Cell::new(0),
            limit: Rc::new(Cell::new(USUAL_STREAMS)),
            retired: Cell::new(false),
            idle_sweeps: Cell::new(0),
        }
    }

    fn is_gone(&self) -> bool {
        let closed = |it: &Result<SendRequest<_>, _>| it.as_ref().map_or(true, SendRequest::is_closed);
        self.retired.get() || self.sender.get().is_some_and(closed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.streams.update(|streams| streams.saturating_sub(1));
    }
}

async fn open(pool: &Pool, limit: &Rc<Cell<usize>>) -> Result<SendRequest<Outgoing>, io::ErrorKind> {
    let opened = async {
        let stream = pool.connect().await?;
        watch(&stream).map_err(|source| pool.connect_error(source))?;
        http2::Builder::new(OnWorker)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(USUAL_STREAMS)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(MAX_HEAD as u32)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| pool.connect_error(io::Error::other(error)))
    };
    let (sender, connection) = opened.await.map_err(|error| {
        tracing::debug!(%error, "no HTTP/2 connection");
        match error {
            UpstreamError::Connect { source, .. } => source.kind(),
            _ => io::ErrorKind::Other,
        }
    })?;
    let limit = Rc::clone(limit);
    // Ends when its last stream and sender are gone; the pool's sweep drops the sender.
    tokio::task::spawn_local(async move {
        let mut connection = pin!(connection);
        let ended = poll_fn(|cx| {
            let ended = connection.as_mut().poll(cx);
            limit.set(connection.current_max_send_streams().max(1));
            ended
        });
        if let Err(error) = ended.await {
            tracing::debug!(%error, "HTTP/2 connection ended");
        }
    });
    Ok(sender)
}

/// Lets the kernel find out when the endpoint is gone without a word.
fn watch(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(DEAD_AFTER))?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(DEAD_AFTER)
            .with_interval(DEAD_AFTER / 4),
    )
}

/// Runs hyper's tasks on the worker that asks.
#[derive(Clone, Copy)]
struct OnWorker;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for OnWorker {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_kept_while_it_has_streams_and_a_while_after() {
        let http2 = Http2::default();
        let lease = http2.lease();
        let kept = |sweeps| {
            (0..sweeps).for_each(|_| http2.sweep(2));
            http2.connections.borrow().len()
        };
        assert_eq!(kept(5), 1);
        drop(lease);
        assert_eq!(kept(2), 1);
        assert_eq!(kept(1), 0);
    }

    #[test]
    fn one_connection_takes_as_many_streams_as_its_endpoint_then_another_is_made() {
        let http2 = Http2::default();
        let first = http2.lease();
        first.0.limit.set(2);
        let second = http2.lease();
        let third = http2.lease();
        assert!(Rc::ptr_eq(&first.0, &second.0) && !Rc::ptr_eq(&first.0, &third.0));
        drop(second);
        assert!(Rc::ptr_eq(&first.0, &http2.lease().0));
    }
}

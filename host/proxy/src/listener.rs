//! Sockets: binding them for several workers, and accepting on them.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::connection;
use crate::worker::Worker;

/// Connections waiting to be accepted, per worker.
const BACKLOG: i32 = 1024;

/// How long accepting rests when the process is out of descriptors or memory.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Binds one socket per worker; the kernel spreads connections over them.
///
/// # Errors
/// When the address cannot be bound, also because another process already accepts there.
pub(crate) fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<StdListener>> {
    // SO_REUSEPORT alone would silently share the port with another gateway of the same user.
    let probe = socket(address, false)?;
    probe.bind(&address.into())?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    (0..workers)
        .map(|_| {
            let socket = socket(address, true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        })
        .collect()
}

/// Accepts until the task is aborted.
pub(crate) async fn accept(worker: Rc<Worker>, configured: SocketAddr, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                // Tracked by the worker's `Connections`, which drains it.
                tokio::task::spawn_local(connection::serve(Rc::clone(&worker), configured, stream, remote));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(address = %configured, %error, "accepting rests");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // `::` serves IPv4 as well only where an own IPv4 listener is not asked for; keep them apart.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

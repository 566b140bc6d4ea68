//! One client connection: hyper's HTTP/1 server, watched for idleness and drain.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use weir_filter::{Connection, ConnectionChain, Facts};

use crate::filtered::Filtered;
use crate::worker::{Patience, Worker};
use crate::{headers, request};

type BoxError = Box<dyn std::error::Error>;

/// What a request knows about the connection it came on.
pub(crate) struct Downstream {
    pub(crate) worker: Rc<Worker>,
    /// The configured address of the socket that accepted it.
    pub(crate) socket: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) id: u64,
    /// The client's address, ready for `x-forwarded-for`.
    pub(crate) client: HeaderValue,
    signal: Rc<Signal>,
}

impl Downstream {
    pub(crate) fn exchange_started(&self) {
        self.signal.enter(Phase::Busy, &self.worker);
    }

    /// A piece of a body came or went: the exchange is not stalled.
    pub(crate) fn progressed(&self) {
        self.signal.since.set(self.worker.tick());
    }

    /// The last byte of the response was handed to the connection, or the exchange was given up.
    pub(crate) fn exchange_ended(&self) {
        self.signal.enter(Phase::Idle, &self.worker);
    }

    /// Waits for `upstream`, at most for the worker's response timeout. No timer is armed: the worker's
    /// sweep wakes a connection whose time is over.
    pub(crate) async fn bounded<T>(&self, upstream: impl Future<Output = T>) -> Option<T> {
        let mut upstream = pin!(upstream);
        self.signal.enter(Phase::Upstream, &self.worker);
        let result = std::future::poll_fn(|cx| {
            if self.signal.phase.get() == Phase::Expired {
                return Poll::Ready(None);
            }
            upstream.as_mut().poll(cx).map(Some)
        })
        .await;
        self.signal.enter(Phase::Busy, &self.worker);
        result
    }
}

/// Serves a connection until it ends, is drained, or stalls for too long. It counts among the worker's
/// connections from this call on, not only once its task runs, so that no drain misses it.
pub(crate) fn serve(
    worker: Rc<Worker>,
    socket: SocketAddr,
    stream: TcpStream,
    remote: SocketAddr,
) -> impl Future<Output = ()> {
    let membership = Membership::enter(worker, socket);
    async move {
        let Ok(local) = stream.local_addr() else { return };
        // Without it small responses wait for the client's delayed acknowledgements; a failure costs only that.
        let _ = stream.set_nodelay(true);
        let Membership { worker, id, signal } = &membership;
        let downstream = Rc::new(Downstream {
            worker: Rc::clone(worker),
            socket,
            remote,
            local,
            id: *id,
            client: headers::client_value(remote.ip()),
            signal: Rc::clone(signal),
        });
        // The chain outlives its plan, which the connection must not keep.
        let chain = worker.plan().plan().connection_chain(socket);
        // Two copies of the same code, so that a connection without filters pays nothing for those of others.
        let ended = match chain {
            None => drive(stream, &downstream).await,
            Some(chain) => Box::pin(serve_filtered(stream, chain, &downstream)).await,
        };
        if let Err(error) = ended {
            tracing::debug!(%remote, %error, "connection ended");
        }
    }
}

/// Serves a connection through its filters: they hear of it before its first byte is read, and of its close when it
/// is closed.
async fn serve_filtered(
    stream: TcpStream,
    chain: Arc<ConnectionChain>,
    downstream: &Rc<Downstream>,
) -> Result<(), BoxError> {
    let facts = Facts::new(downstream.remote, downstream.local, downstream.id);
    let callouts = chain.makes_callouts().then(|| downstream.worker.callouts());
    let mut filtered = Filtered::new(stream, chain, Connection::new(facts, callouts));
    let ended = match downstream.signal.until_closing(|cx| filtered.poll_open(cx)).await {
        Some(Ok(())) => drive(&mut filtered, downstream).await,
        Some(Err(closed)) => Err(closed.into()),
        // Drained before it began.
        None => Ok(()),
    };
    filtered.close().await;
    ended
}

/// Drives hyper's side of a connection, and ends it when its signal says so.
async fn drive<S>(stream: S, downstream: &Rc<Downstream>) -> Result<(), BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| {
        let downstream = Rc::clone(downstream);
        async move { Ok::<_, Infallible>(request::handle(request, &downstream).await) }
    });
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    let signal = &downstream.signal;
    let mut draining = false;
    std::future::poll_fn(|cx| {
        signal.register(cx.waker());
        if signal.closing.get() == Closing::Now {
            return Poll::Ready(Ok(()));
        }
        if signal.closing.get() == Closing::Drain && !draining {
            draining = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    })
    .await?;
    Ok(())
}

/// A connection's place among those of its worker; given up when dropped, however its task ends.
struct Membership {
    worker: Rc<Worker>,
    id: u64,
    signal: Rc<Signal>,
}

impl Membership {
    fn enter(worker: Rc<Worker>, socket: SocketAddr) -> Self {
        let id = worker.next_connection();
        let signal = worker.connections.enter(id, socket, &worker);
        Self { worker, id, signal }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.worker.connections.leave(self.id);
    }
}

/// The client connections of one worker.
#[derive(Default)]
pub(crate) struct Connections {
    live: RefCell<HashMap<u64, Rc<Signal>>>,
    left: Notify,
}

/// How the worker reaches a connection's task.
struct Signal {
    socket: SocketAddr,
    phase: Cell<Phase>,
    /// The worker's tick when the phase began.
    since: Cell<u32>,
    closing: Cell<Closing>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waiting for a request head.
    Idle,
    /// Handling a request, or sending its response.
    Busy,
    /// Waiting for an upstream's response head.
    Upstream,
    /// The upstream's time is over.
    Expired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    No,
    /// After the exchange in flight.
    Drain,
    Now,
}

impl Connections {
    fn enter(&self, id: u64, socket: SocketAddr, worker: &Worker) -> Rc<Signal> {
        let signal = Rc::new(Signal {
            socket,
            phase: Cell::new(Phase::Idle),
            since: Cell::new(worker.tick()),
            closing: Cell::new(Closing::No),
            waker: RefCell::default(),
        });
        self.live.borrow_mut().insert(id, Rc::clone(&signal));
        signal
    }

    fn leave(&self, id: u64) {
        self.live.borrow_mut().remove(&id);
        self.left.notify_waiters();
    }

    /// Ends connections after their exchange in flight: all, or those of one socket.
    pub(crate) fn drain(&self, socket: Option<SocketAddr>) {
        for signal in self
            .live
            .borrow()
            .values()
            .filter(|it| socket.is_none_or(|socket| it.socket == socket))
        {
            signal.close(Closing::Drain);
        }
    }

    /// Waits until the last connection has left.
    pub(crate) async fn emptied(&self) {
        loop {
            let left = self.left.notified();
            if self.live.borrow().is_empty() {
                return;
            }
            left.await;
        }
    }

    /// Ends what has waited without progress for longer than its phase may.
    pub(crate) fn sweep(&self, tick: u32, patience: Patience) {
        let Patience {
            idle,
            response,
            stall,
        } = patience;
        for signal in self.live.borrow().values() {
            let age = tick.wrapping_sub(signal.since.get());
            match signal.phase.get() {
                // Half a request head holds hyper in its graceful shutdown: the next sweep ends that too.
                Phase::Idle if age > idle + 1 => signal.close(Closing::Now),
                Phase::Idle if age > idle => signal.close(Closing::Drain),
                // A body drips in or out too slowly, or nobody reads.
                Phase::Busy if age > stall => signal.close(Closing::Now),
                Phase::Upstream if age > response => {
                    signal.phase.set(Phase::Expired);
                    signal.wake();
                }
                _ => {}
            }
        }
    }
}

impl Signal {
    /// Polls until it is ready; `None` when the connection is to be closed before.
    async fn until_closing<T>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
        std::future::poll_fn(|cx| {
            self.register(cx.waker());
            match self.closing.get() {
                Closing::No => poll(cx).map(Some),
                Closing::Drain | Closing::Now => Poll::Ready(None),
            }
        })
        .await
    }

    fn enter(&self, phase: Phase, worker: &Worker) {
        self.phase.set(phase);
        self.since.set(worker.tick());
    }

    fn register(&self, waker: &Waker) {
        let mut slot = self.waker.borrow_mut();
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    fn close(&self, closing: Closing) {
        self.closing.set(closing);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

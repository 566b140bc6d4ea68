//! One upstream connection: its socket, the bytes read ahead, and the request being sent.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use http::{HeaderMap, Method};
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use super::head::{self, Head};
use super::send::{SendError, Sending};
use super::{Malformed, Pool, UpstreamError};
use crate::body::BodyError;

/// Always more room than a small message: a read that does not fill its buffer tells that the socket is
/// empty, and saves the system call that would ask.
const READ: usize = 8 << 10;

/// The most that is read at once from a large body.
const READ_LARGE: usize = 64 << 10;

/// A connection that one exchange at a time uses.
pub(super) struct Connection {
    stream: TcpStream,
    pub(super) buffer: BytesMut,
    pub(super) sending: Sending,
    /// The endpoint has begun to answer the current request.
    spoke: bool,
    pub(super) remote: SocketAddr,
    pub(super) local: SocketAddr,
}

/// Why there is no response head.
pub(super) enum ExchangeError {
    /// The endpoint closed, reset or stopped reading before the first byte of its response.
    Unanswered(io::Error),
    /// It broke off in the middle of its head.
    BrokenOff(io::Error),
    Malformed(Malformed),
    RequestBody(BodyError),
}

impl Connection {
    /// Opens a connection.
    pub(super) async fn open(pool: &Pool) -> Result<Box<Self>, UpstreamError> {
        let stream = pool.connect().await?;
        let failed = |source| pool.connect_error(source);
        let (remote, local) = (
            stream.peer_addr().map_err(failed)?,
            stream.local_addr().map_err(failed)?,
        );
        let buffer = BytesMut::with_capacity(READ);
        // Boxed once: it moves between pool, exchange and body with every request.
        Ok(Box::new(Self {
            stream,
            buffer,
            sending: Sending::new(),
            spoke: false,
            remote,
            local,
        }))
    }

    /// True when the last exchange ended cleanly and the endpoint has neither closed nor spoken out of
    /// turn. Costs no system call when nothing arrived.
    pub(super) fn is_usable(&self) -> bool {
        let quiet = || matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.buffer.is_empty() && self.sending.is_done() && quiet()
    }

    /// Sends what was started and reads the final response head. A body may still be on its way when the
    /// response begins; whoever reads the response keeps it going.
    pub(super) async fn exchange(
        &mut self,
        method: &Method,
        headers: &mut HeaderMap,
    ) -> Result<Head, ExchangeError> {
        self.spoke = false;
        poll_fn(|cx| self.poll_exchange(method, headers, cx)).await
    }

    fn poll_exchange(
        &mut self,
        method: &Method,
        headers: &mut HeaderMap,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, ExchangeError>> {
        let refused = match self.sending.poll(&mut self.stream, cx) {
            Poll::Ready(Err(SendError::Body(error))) => {
                return Poll::Ready(Err(ExchangeError::RequestBody(error)));
            }
            // An endpoint may refuse the rest of a body and say why: its answer is read first.
            Poll::Ready(Err(SendError::Socket(error))) => Some(error),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        };
        loop {
            if !self.buffer.is_empty() {
                match head::parse(&mut self.buffer, method, headers).map_err(ExchangeError::Malformed)? {
                    Some(head) if head.status.is_informational() => {
                        self.spoke = true;
                        headers.clear();
                        continue;
                    }
                    Some(head) => return Poll::Ready(Ok(head)),
                    None => {}
                }
            }
            let read = match self.poll_fill(0, cx) {
                Poll::Ready(read) => read,
                Poll::Pending => match refused {
                    Some(error) => return Poll::Ready(Err(self.broken(error))),
                    None => return Poll::Pending,
                },
            };
            match read {
                Ok(0) => return Poll::Ready(Err(self.broken(io::ErrorKind::UnexpectedEof.into()))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(self.broken(error))),
            }
        }
    }

    /// Keeps a request body going while its response is read. An endpoint that stops reading may still finish
    /// its response; a client that breaks off ends both.
    pub(super) fn poll_sending(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        if self.sending.is_done() {
            return Ok(());
        }
        match self.sending.poll(&mut self.stream, cx) {
            Poll::Ready(Err(SendError::Body(error))) => Err(error),
            Poll::Ready(Err(SendError::Socket(_)) | Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Reads more into the buffer; `expected` is how much the current body still has.
    pub(super) fn poll_fill(&mut self, expected: u64, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let room = usize::try_from(expected)
            .unwrap_or(READ_LARGE)
            .clamp(READ, READ_LARGE);
        if self.buffer.capacity() - self.buffer.len() < room / 2 {
            self.buffer.reserve(room);
        }
        poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.buffer)
    }

    fn broken(&self, error: io::Error) -> ExchangeError {
        if self.buffer.is_empty() && !self.spoke {
            ExchangeError::Unanswered(error)
        } else {
            ExchangeError::BrokenOff(error)
        }
    }
}

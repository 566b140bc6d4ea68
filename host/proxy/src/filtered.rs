//! A client connection seen through connection filters: what is read and written passes them first.
//!
//! Knows bytes only; the protocol above it does not notice. A connection without filters has none of this.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;
use weir_filter::{
    Chunk, Connection, ConnectionChain, ConnectionClosed, ConnectionEvents, ConnectionRun, Direction,
};

/// The largest chunk that a filter gets, and the room for reading one.
const CHUNK: usize = 16 << 10;

/// A connection with its filters.
pub(crate) struct Filtered {
    stream: TcpStream,
    chain: Arc<ConnectionChain>,
    run: ConnectionRun,
    incoming: Incoming,
    outgoing: Outgoing,
    /// A filter closed it: nothing passes any more.
    is_closed: bool,
}

/// The way from the client.
#[derive(Default)]
struct Incoming {
    room: BytesMut,
    /// With the filters.
    chunk: Option<Chunk>,
    /// Past the filters, not read yet.
    passed: Bytes,
    ended: bool,
}

/// The way to the client.
#[derive(Default)]
struct Outgoing {
    /// With the filters.
    chunk: Option<Chunk>,
    /// Past the filters, not sent yet.
    passed: Bytes,
    ended: bool,
}

impl Filtered {
    pub(crate) fn new(stream: TcpStream, chain: Arc<ConnectionChain>, connection: Connection) -> Self {
        Self {
            stream,
            run: chain.start(connection),
            chain,
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
            is_closed: false,
        }
    }

    /// Tells the filters of the connection. Nothing may be read before it is ready.
    pub(crate) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionClosed>> {
        self.chain.poll_open(&mut self.run, cx)
    }

    /// Closes the connection and then tells the filters.
    pub(crate) async fn close(self) {
        let Self {
            stream,
            chain,
            mut run,
            ..
        } = self;
        drop(stream);
        poll_fn(|cx| chain.poll_close(&mut run, cx)).await;
    }

    fn filters(&self, events: ConnectionEvents) -> bool {
        self.chain.events().contains(events)
    }

    /// Reads a chunk and has it filtered, until there are bytes or the end.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.incoming.passed.is_empty() && !self.incoming.ended {
            let chunk = match &self.incoming.chunk {
                Some(chunk) => chunk,
                None => {
                    let room = &mut self.incoming.room;
                    room.reserve(CHUNK);
                    let read = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, room))?;
                    self.incoming.chunk.insert(Chunk {
                        bytes: room.split().freeze(),
                        end: read == 0,
                    })
                }
            };
            let end = chunk.end;
            let passed = self.chain.poll_data(&mut self.run, Direction::Request, chunk, cx);
            let passed = ready!(passed).map_err(closed);
            self.is_closed |= passed.is_err();
            self.incoming.chunk = None;
            self.incoming.passed = passed?;
            self.incoming.ended = end;
        }
        Poll::Ready(Ok(()))
    }

    /// Has what was written filtered and sends it.
    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while !self.outgoing.passed.is_empty() {
                let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outgoing.passed))?;
                if sent == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.outgoing.passed.advance(sent);
            }
            let Some(chunk) = &self.outgoing.chunk else {
                return Poll::Ready(Ok(()));
            };
            let passed = self
                .chain
                .poll_data(&mut self.run, Direction::Response, chunk, cx);
            let passed = ready!(passed).map_err(closed);
            self.is_closed |= passed.is_err();
            self.outgoing.chunk = None;
            self.outgoing.passed = passed?;
        }
    }

    fn still_open(&self) -> io::Result<()> {
        if self.is_closed {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl AsyncRead for Filtered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.still_open()?;
        if !self.filters(ConnectionEvents::DOWNSTREAM_DATA) {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        ready!(self.poll_incoming(cx))?;
        let length = self.incoming.passed.len().min(buffer.remaining());
        buffer.put_slice(&self.incoming.passed.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Filtered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.still_open()?;
        if !self.filters(ConnectionEvents::UPSTREAM_DATA) {
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        }
        // One chunk at a time: a client that does not read holds back whoever writes.
        ready!(self.poll_outgoing(cx))?;
        let taken = bytes.get(..bytes.len().min(CHUNK)).unwrap_or_default();
        if !taken.is_empty() {
            self.outgoing.chunk = Some(Chunk {
                bytes: Bytes::copy_from_slice(taken),
                end: false,
            });
        }
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.still_open()?;
        ready!(self.poll_outgoing(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.still_open()?;
        ready!(self.poll_outgoing(cx))?;
        if self.filters(ConnectionEvents::UPSTREAM_DATA) && !self.outgoing.ended {
            self.outgoing.ended = true;
            self.outgoing.chunk = Some(Chunk {
                bytes: Bytes::new(),
                end: true,
            });
            ready!(self.poll_outgoing(cx))?;
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn closed(closed: ConnectionClosed) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, closed)
}

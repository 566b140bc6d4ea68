//! A response body together with the connection it arrives on, which goes back to its pool at the end.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Pool;
use super::chunked::{Decoded, Decoder};
use super::connection::Connection;
use super::head::Framing;
use crate::body::BodyError;

/// The body of an upstream's response. Reads its socket in the task that reads the body; dropping it
/// before its end closes the connection.
pub(crate) struct UpstreamBody {
    lease: Option<Lease>,
    state: State,
}

struct Lease {
    connection: Box<Connection>,
    pool: Rc<Pool>,
    keep_alive: bool,
}

enum State {
    Length(u64),
    Chunked(Decoder),
    Close,
    End,
}

impl UpstreamBody {
    pub(super) fn new(
        framing: Framing,
        keep_alive: bool,
        connection: Box<Connection>,
        pool: Rc<Pool>,
    ) -> Self {
        let state = match framing {
            Framing::None => State::End,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Decoder::Size),
            Framing::Close => State::Close,
        };
        let mut this = Self {
            lease: Some(Lease {
                connection,
                pool,
                keep_alive,
            }),
            state,
        };
        if matches!(this.state, State::End) {
            this.end();
        }
        this
    }

    /// The body is complete: a connection in order goes back, any other is closed.
    fn end(&mut self) {
        self.state = State::End;
        if let Some(Lease {
            connection,
            pool,
            keep_alive: true,
        }) = self.lease.take()
        {
            pool.give_back(connection);
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let Some(Lease { connection, .. }) = &mut self.lease else {
                return Poll::Ready(None);
            };
            connection.poll_sending(cx)?;
            let expected = match &mut self.state {
                State::End => return Poll::Ready(None),
                State::Length(left) if !connection.buffer.is_empty() => {
                    let here = usize::try_from(*left)
                        .unwrap_or(usize::MAX)
                        .min(connection.buffer.len());
                    *left -= here as u64;
                    let data = connection.buffer.split_to(here).freeze();
                    if *left == 0 {
                        self.end();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                State::Close if !connection.buffer.is_empty() => {
                    return Poll::Ready(Some(Ok(Frame::data(connection.buffer.split().freeze()))));
                }
                State::Chunked(decoder) => match decoder.decode(&mut connection.buffer)? {
                    Decoded::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Decoded::End(trailers) => {
                        self.end();
                        let frame = (!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers)));
                        return Poll::Ready(frame);
                    }
                    Decoded::More => 0,
                },
                State::Length(left) => *left,
                State::Close => u64::MAX,
            };
            if ready!(connection.poll_fill(expected, cx))? == 0 {
                return match self.state {
                    State::Close => {
                        self.end();
                        Poll::Ready(None)
                    }
                    _ => Poll::Ready(Some(Err("the upstream closed in the middle of its body".into()))),
                };
            }
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = this.poll_next(cx);
        if matches!(frame, Poll::Ready(Some(Err(_)))) {
            this.lease = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::End)
    }

    fn size_hint(&self) -> SizeHint {
        match self.state {
            State::End => SizeHint::with_exact(0),
            State::Length(left) => SizeHint::with_exact(left),
            State::Chunked(_) | State::Close => SizeHint::default(),
        }
    }
}

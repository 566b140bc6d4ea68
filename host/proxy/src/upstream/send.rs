//! The sending half of an exchange: the request head, and its body as it comes.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Method};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use weir_filter::RequestHead;

use crate::body::{BodyError, Passing};
use crate::headers::{X_FORWARDED_FOR, X_FORWARDED_PROTO};

/// Room that an idle connection keeps for its next request.
const MAX_KEPT: usize = 16 << 10;

/// With more than this waiting for the socket, the body is not asked for more.
const HIGH_WATER: usize = 64 << 10;

/// Why sending ended early.
pub(super) enum SendError {
    /// The endpoint takes no more; it may still have answered.
    Socket(io::Error),
    /// The client, or a filter, broke off.
    Body(BodyError),
}

/// A request with its whole body at hand. Its fields are without host, framing, and what belongs to one connection.
pub(crate) struct WholeRequest {
    pub(crate) method: Method,
    pub(crate) path: PathAndQuery,
    pub(crate) host: Authority,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A request on its way to an endpoint.
pub(super) struct Sending {
    /// Encoded bytes; those before `written` are on the wire. Filled again by the next request.
    buffer: Vec<u8>,
    written: usize,
    body: Source,
    chunked: bool,
}

/// What of a body is not encoded yet.
enum Source {
    None,
    Passing(Passing<Incoming>),
    AtHand(Bytes),
}

/// How the body's end is announced.
enum Framing {
    None,
    Length(u64),
    Chunked,
}

impl Sending {
    pub(super) fn new() -> Self {
        Self {
            buffer: Vec::with_capacity(2048),
            written: 0,
            body: Source::None,
            chunked: false,
        }
    }

    /// Encodes a request head and takes the body, if there is one.
    pub(super) fn start(
        &mut self,
        head: &RequestHead,
        client: &HeaderValue,
        body: &mut Option<Passing<Incoming>>,
    ) {
        let out = self.begin(&head.method, head.path_and_query());
        let mut is_forwarded = false;
        for (name, value) in &head.headers {
            if *name == X_FORWARDED_FOR {
                is_forwarded = true;
            } else if *name != header::CONTENT_LENGTH && *name != X_FORWARDED_PROTO {
                field(out, name.as_str().as_bytes(), value.as_bytes());
            }
        }
        forwarded(out, is_forwarded.then_some(&head.headers), client);
        self.end_head(Framing::of(&head.method, body.as_ref()));
        self.body = body
            .take_if(|body| !body.is_end_stream())
            .map_or(Source::None, Source::Passing);
    }

    /// Encodes a request head and shares the body.
    pub(super) fn start_whole(&mut self, request: &WholeRequest) {
        let out = self.begin(&request.method, request.path.as_str());
        field(out, b"host", request.host.as_str().as_bytes());
        for (name, value) in &request.headers {
            field(out, name.as_str().as_bytes(), value.as_bytes());
        }
        self.end_head(match request.body.len() {
            0 => Framing::of_nothing(&request.method),
            length => Framing::Length(length as u64),
        });
        self.body = match request.body.is_empty() {
            true => Source::None,
            false => Source::AtHand(request.body.clone()),
        };
    }

    fn begin(&mut self, method: &Method, path: &str) -> &mut Vec<u8> {
        self.buffer.clear();
        // A connection in the pool keeps no more than a usual request needs.
        self.buffer.shrink_to(MAX_KEPT);
        self.written = 0;
        let out = &mut self.buffer;
        out.extend_from_slice(method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(path.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        out
    }

    fn end_head(&mut self, framing: Framing) {
        let out = &mut self.buffer;
        self.chunked = matches!(framing, Framing::Chunked);
        match framing {
            Framing::None => {}
            // Writing to memory does not fail.
            Framing::Length(length) => drop(write!(out, "content-length: {length}\r\n")),
            Framing::Chunked => field(out, b"transfer-encoding", b"chunked"),
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Everything is on the wire.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.body, Source::None) && self.written == self.buffer.len()
    }

    /// Writes what can be written; ready when all is.
    pub(super) fn poll(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        loop {
            let starved = !self.poll_body(cx)?;
            while let Some(waiting) = self.buffer.get(self.written..).filter(|it| !it.is_empty()) {
                match ready!(Pin::new(&mut *stream).poll_write(cx, waiting)).map_err(SendError::Socket)? {
                    0 => return Poll::Ready(Err(SendError::Socket(io::ErrorKind::WriteZero.into()))),
                    written => self.written += written,
                }
            }
            if matches!(self.body, Source::None) {
                return Poll::Ready(Ok(()));
            }
            if starved {
                return Poll::Pending;
            }
        }
    }

    /// Encodes what the body has ready, up to the high-water mark. False when the body has nothing now.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Result<bool, SendError> {
        while !matches!(self.body, Source::None) {
            if self.buffer.len() - self.written >= HIGH_WATER {
                return Ok(true);
            }
            // What is on the wire goes, also when a slow endpoint always leaves a rest: moving the rest costs
            // less than a buffer that grows with the upload.
            if self.written > 0 {
                self.buffer.drain(..self.written);
                self.written = 0;
            }
            let body = match &mut self.body {
                Source::None => break,
                Source::AtHand(bytes) => {
                    self.buffer
                        .extend_from_slice(&bytes.split_to(bytes.len().min(HIGH_WATER)));
                    if bytes.is_empty() {
                        self.body = Source::None;
                    }
                    continue;
                }
                Source::Passing(body) => body,
            };
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Some(frame)) => self.encode(frame.map_err(SendError::Body)?),
                Poll::Ready(None) => {
                    self.body = Source::None;
                    if self.chunked {
                        self.buffer.extend_from_slice(b"0\r\n\r\n");
                    }
                }
            }
        }
        Ok(true)
    }

    fn encode(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) if !self.chunked => self.buffer.extend_from_slice(&data),
            // A chunk of size 0 would end the body.
            Ok(data) if data.is_empty() => {}
            Ok(data) => {
                let _ = write!(self.buffer, "{:x}\r\n", data.len());
                self.buffer.extend_from_slice(&data);
                self.buffer.extend_from_slice(b"\r\n");
            }
            // Trailers are the end. Without the chunked coding they have no place.
            Err(frame) => {
                self.body = Source::None;
                if self.chunked {
                    self.buffer.extend_from_slice(b"0\r\n");
                    for (name, value) in frame.trailers_ref().into_iter().flatten() {
                        field(&mut self.buffer, name.as_str().as_bytes(), value.as_bytes());
                    }
                    self.buffer.extend_from_slice(b"\r\n");
                }
            }
        }
    }
}

impl Framing {
    fn of(method: &Method, body: Option<&Passing<Incoming>>) -> Self {
        match body.filter(|body| !body.is_end_stream()) {
            Some(body) => body.size_hint().exact().map_or(Self::Chunked, Self::Length),
            None => Self::of_nothing(method),
        }
    }

    fn of_nothing(method: &Method) -> Self {
        match *method {
            // RFC 9110 §8.6: where a method gives a body meaning, its absence is announced.
            Method::POST | Method::PUT | Method::PATCH => Self::Length(0),
            _ => Self::None,
        }
    }
}

/// Adds the client to `x-forwarded-for`, after what `before` says there, and says how it reached us.
fn forwarded(out: &mut Vec<u8>, before: Option<&HeaderMap>, client: &HeaderValue) {
    out.extend_from_slice(b"x-forwarded-for: ");
    for before in before.iter().flat_map(|it| it.get_all(X_FORWARDED_FOR)) {
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(client.as_bytes());
    out.extend_from_slice(b"\r\nx-forwarded-proto: http\r\n");
}

fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

//! One upstream connection: hyper's client half and its driver, polled by whoever uses it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{CONNECT_TIMEOUT, Pool, UpstreamError};
use crate::body::{BodyError, Passing};

type RequestBody = Passing<Incoming>;
type Driver = http1::Connection<TokioIo<TcpStream>, RequestBody>;

/// A connection that one exchange at a time uses.
pub(crate) struct Connection {
    sender: http1::SendRequest<RequestBody>,
    driver: Pin<Box<Driver>>,
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// What sending came to, when there is no response.
pub(crate) enum SendError {
    /// Nothing was written: the request comes back and may go elsewhere.
    Unsent(Box<Request<RequestBody>>),
    /// The connection ended.
    Closed,
    /// The connection or the body broke.
    Broken(hyper::Error),
}

impl Connection {
    /// Opens a connection; gives up after [`CONNECT_TIMEOUT`].
    pub(crate) async fn open(pool: &Pool) -> Result<Self, UpstreamError> {
        let failed = |source| UpstreamError::Connect { endpoint: pool.endpoint().to_string(), source };
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, pool.connect()).await {
            Ok(stream) => stream.map_err(failed)?,
            Err(_) => return Err(failed(io::ErrorKind::TimedOut.into())),
        };
        let (remote, local) = (stream.peer_addr().map_err(failed)?, stream.local_addr().map_err(failed)?);
        stream.set_nodelay(true).map_err(failed)?;
        let (sender, driver) = http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(io::Error::other(error)))?;
        Ok(Self { sender, driver: Box::pin(driver), remote, local })
    }

    /// True when the endpoint has neither closed nor spoken out of turn. Costs no system call when
    /// nothing arrived.
    pub(crate) fn is_usable(&mut self) -> bool {
        let mut quiet = Context::from_waker(Waker::noop());
        self.driver.as_mut().poll(&mut quiet).is_pending() && self.sender.is_ready()
    }

    /// Sends a request and waits for the response head.
    pub(crate) async fn send(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, SendError> {
        let mut response = pin!(self.sender.try_send_request(request));
        // The response can become ready only while the driver is polled, which happens right here: a real
        // waker would wake this very task once more.
        let mut quiet = Context::from_waker(Waker::noop());
        std::future::poll_fn(|cx| {
            let driven = self.driver.as_mut().poll(cx);
            match response.as_mut().poll(&mut quiet) {
                Poll::Ready(result) => Poll::Ready(result.map_err(SendError::from)),
                Poll::Pending => match driven {
                    Poll::Ready(Ok(())) => Poll::Ready(Err(SendError::Closed)),
                    Poll::Ready(Err(error)) => Poll::Ready(Err(SendError::Broken(error))),
                    Poll::Pending => Poll::Pending,
                },
            }
        })
        .await
    }
}

impl From<TrySendError<Request<RequestBody>>> for SendError {
    fn from(mut error: TrySendError<Request<RequestBody>>) -> Self {
        match error.take_message() {
            Some(request) => Self::Unsent(Box::new(request)),
            None => Self::Broken(error.into_error()),
        }
    }
}

/// A response body together with the connection it arrives on, which goes back to its pool at the end.
pub(crate) struct UpstreamBody {
    body: Incoming,
    lease: Option<(Connection, Rc<Pool>)>,
}

impl UpstreamBody {
    pub(crate) fn new(body: Incoming, connection: Connection, pool: Rc<Pool>) -> Self {
        let mut this = Self { body, lease: Some((connection, pool)) };
        if this.body.is_end_stream() {
            this.give_back();
        }
        this
    }

    fn give_back(&mut self) {
        if let Some((connection, pool)) = self.lease.take() {
            pool.give_back(connection);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let mut quiet = Context::from_waker(Waker::noop());
        let mut frame = Pin::new(&mut this.body).poll_frame(&mut quiet);
        if frame.is_pending()
            && let Some((connection, _)) = &mut this.lease
        {
            let ended = connection.driver.as_mut().poll(cx);
            frame = Pin::new(&mut this.body).poll_frame(&mut quiet);
            if frame.is_pending() && ended.is_ready() {
                this.lease = None;
                return Poll::Ready(Some(Err("the upstream closed in the middle of its body".into())));
            }
        }
        match &frame {
            Poll::Ready(Some(Err(_))) => this.lease = None,
            // hyper stops reading after trailers, so they are the end as much as `None` is.
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() || this.body.is_end_stream() => this.give_back(),
            Poll::Ready(None) => this.give_back(),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        frame.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

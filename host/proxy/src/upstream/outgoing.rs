//! The request body of a stream, fed by a filter as it goes.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::{mpsc, oneshot};
use weir_filter::StreamEvent;

use super::http2::Lease;

/// What a filter sends on its stream. Is asked for more only when the endpoint has room.
///
/// A closed channel ends the body only while somebody still wants the response. Otherwise the stream is given up, and
/// an endpoint must not take what it has got so far for the whole.
pub(crate) struct Outgoing {
    first: Option<Bytes>,
    rest: mpsc::Receiver<Bytes>,
    /// Says that the response ended in order, or is dropped when it was given up.
    responded: Option<oneshot::Receiver<()>>,
    events: mpsc::WeakSender<StreamEvent>,
    /// The stream counts while this half is open.
    pub(super) lease: Option<Rc<Lease>>,
}

impl Outgoing {
    /// `events` is where the response goes, by whoever holds the other end of `responded`.
    pub(crate) fn new(
        first: Bytes,
        rest: mpsc::Receiver<Bytes>,
        responded: oneshot::Receiver<()>,
        events: mpsc::WeakSender<StreamEvent>,
    ) -> Self {
        Self {
            first: Some(first).filter(|it| !it.is_empty()),
            rest,
            responded: Some(responded),
            events,
            lease: None,
        }
    }

    fn poll_given_up(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(responded) = &mut self.responded else {
            return false;
        };
        match Pin::new(responded).poll(cx) {
            Poll::Ready(Ok(())) => self.responded = None,
            Poll::Ready(Err(_)) => return true,
            Poll::Pending => {}
        }
        // Whoever gave the stream up dropped both of its ends, and this one may be looked at first.
        self.events.upgrade().is_some_and(|events| events.is_closed())
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = self.get_mut();
        if this.poll_given_up(cx) {
            return Poll::Ready(Some(Err(h2::Reason::CANCEL.into())));
        }
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let next = ready!(this.rest.poll_recv(cx));
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }
}

//! A body on its way through filters, in either direction.
//!
//! Without filters a frame passes untouched. With chunk filters each chunk passes them in order; a whole
//! body is collected first and then passes on as bytes at hand.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use smallvec::SmallVec;
use weir_filter::StepIndex;

use crate::flow::{Direction, Flow};

/// What hyper wants as a body error; only its text and presence matter to us.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A body with the filters it still has to pass.
pub(crate) struct Passing<B> {
    /// Bytes at hand that go before what `inner` yields, and the first filter they have not passed.
    held: Option<(Bytes, usize)>,
    inner: Option<B>,
    trailers: Option<HeaderMap>,
    steps: SmallVec<[StepIndex; 2]>,
    /// The filters have seen the end.
    ended: bool,
    direction: Direction,
    flow: Rc<Flow>,
}

/// A frame and the first filter it has not passed.
type Unfiltered = (Frame<Bytes>, usize);

/// What collecting a body came to.
pub(crate) enum Collected {
    /// All of it.
    Whole(Bytes),
    /// More than the limit; nothing is lost, the body still passes.
    TooLarge,
}

/// A filter ended the exchange; the reason waits in the flow.
#[derive(Debug, thiserror::Error)]
#[error("a filter ended the exchange")]
pub(crate) struct Interrupted;

impl<B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin> Passing<B> {
    pub(crate) fn new(inner: Option<B>, direction: Direction, flow: Rc<Flow>) -> Self {
        let inner = inner.filter(|body| !body.is_end_stream());
        Self {
            held: None,
            inner,
            trailers: None,
            steps: SmallVec::new(),
            ended: false,
            direction,
            flow,
        }
    }

    pub(crate) fn of_bytes(bytes: Bytes, direction: Direction, flow: Rc<Flow>) -> Self {
        let held = (!bytes.is_empty()).then_some((bytes, 0));
        Self {
            held,
            inner: None,
            trailers: None,
            steps: SmallVec::new(),
            ended: false,
            direction,
            flow,
        }
    }

    /// True when no byte is left to pass.
    pub(crate) fn is_over(&self) -> bool {
        self.held.is_none() && self.inner.is_none()
    }

    /// From here on every chunk also passes this filter.
    pub(crate) fn through(&mut self, step: StepIndex) {
        self.steps.push(step);
    }

    /// Replaces the rest of the body by these bytes, which have passed every filter so far.
    pub(crate) fn replace(&mut self, bytes: Bytes) {
        self.inner = None;
        self.steps.clear();
        self.ended = false;
        self.held = (!bytes.is_empty()).then_some((bytes, 0));
    }

    /// Gives up the rest of the body; an upstream connection in the middle of one is closed.
    pub(crate) fn discard(&mut self) {
        self.replace(Bytes::new());
        self.trailers = None;
    }

    /// Reads the whole body if it has no more than `limit` bytes.
    ///
    /// # Errors
    /// When the sender breaks off or an earlier filter ends the exchange.
    pub(crate) async fn collect(&mut self, limit: u64) -> Result<Collected, BodyError> {
        let mut first = Bytes::new();
        let mut more = BytesMut::new();
        while let Some(frame) = std::future::poll_fn(|cx| self.poll_passed(cx)).await {
            let data = match frame?.into_data() {
                Ok(data) => data,
                Err(frame) => {
                    self.trailers = frame.into_trailers().ok();
                    break;
                }
            };
            if first.is_empty() {
                first = data;
            } else {
                if more.is_empty() {
                    more.extend_from_slice(&first);
                }
                more.extend_from_slice(&data);
            }
            if first.len().max(more.len()) as u64 > limit {
                let prefix = if more.is_empty() { first } else { more.freeze() };
                self.held = Some((prefix, self.steps.len()));
                return Ok(Collected::TooLarge);
            }
        }
        Ok(Collected::Whole(if more.is_empty() {
            first
        } else {
            more.freeze()
        }))
    }

    fn filtered(&self, from: usize, chunk: Bytes, end: bool) -> Result<Bytes, BodyError> {
        let steps = self.steps.get(from..).unwrap_or_default();
        if steps.is_empty() {
            return Ok(chunk);
        }
        self.flow
            .chunk(self.direction, steps, chunk, end)
            .ok_or_else(|| Interrupted.into())
    }

    fn poll_unfiltered(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Unfiltered, BodyError>>> {
        if let Some((bytes, from)) = self.held.take() {
            return Poll::Ready(Some(Ok((Frame::data(bytes), from))));
        }
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let Some(frame) = ready!(Pin::new(inner).poll_frame(cx)) else {
            self.inner = None;
            return Poll::Ready(None);
        };
        let frame = frame.map_err(Into::into)?;
        self.flow.downstream().progressed();
        if self.direction == Direction::Request
            && let Some(data) = frame.data_ref()
        {
            self.flow
                .with(|exchange| exchange.facts.bytes_received += data.len() as u64);
        }
        Poll::Ready(Some(Ok((frame, 0))))
    }

    /// The next frame that has passed every filter.
    fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let (data, from) = match ready!(self.poll_unfiltered(cx)).transpose()? {
                Some((frame, from)) => match frame.into_data() {
                    Ok(data) => (data, from),
                    Err(frame) => {
                        self.inner = None;
                        self.trailers = frame.into_trailers().ok();
                        continue;
                    }
                },
                None if self.ended || self.steps.is_empty() => {
                    return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
                }
                None => {
                    self.ended = true;
                    let last = self.filtered(0, Bytes::new(), true)?;
                    if last.is_empty() {
                        continue;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(last))));
                }
            };
            let data = self.filtered(from, data, false)?;
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin> Body for Passing<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = ready!(this.poll_passed(cx));
        if this.direction == Direction::Response {
            match &frame {
                Some(Ok(frame)) => {
                    let sent = frame.data_ref().map_or(0, Bytes::len);
                    this.flow
                        .with(|exchange| exchange.facts.bytes_sent += sent as u64);
                }
                // The head was sent: the client sees a broken body, and the access log must say why.
                Some(Err(error)) => this.flow.broken_off(error),
                None => {}
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none()
            && self.trailers.is_none()
            && (self.ended || self.steps.is_empty())
            && self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        if !self.steps.is_empty() {
            return SizeHint::default();
        }
        let held = self.held.as_ref().map_or(0, |(bytes, _)| bytes.len() as u64);
        let inner = self
            .inner
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(held + inner.lower());
        if let Some(upper) = inner.upper() {
            hint.set_upper(held + upper);
        }
        hint
    }
}

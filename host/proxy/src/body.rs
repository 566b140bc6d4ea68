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

    /// Reads the whole body if it has no more than `limit` bytes.
    ///
    /// # Errors
    /// When the sender breaks off or an earlier filter ends the exchange.
    pub(crate) async fn collect(&mut self, limit: u64) -> Result<Collected, BodyError> {
        let mut first = Bytes::new();
        let mut more = BytesMut::new();
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await {
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
        if self.direction == Direction::Request
            && let Some(data) = frame.data_ref()
        {
            self.flow
                .with(|exchange| exchange.facts.bytes_received += data.len() as u64);
        }
        Poll::Ready(Some(Ok((frame, 0))))
    }

    fn sent(&self, data: &Bytes) {
        if self.direction == Direction::Response {
            self.flow
                .with(|exchange| exchange.facts.bytes_sent += data.len() as u64);
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
        loop {
            let (data, from) = match ready!(this.poll_unfiltered(cx)).transpose()? {
                Some((frame, from)) => match frame.into_data() {
                    Ok(data) => (data, from),
                    Err(frame) => {
                        this.inner = None;
                        this.trailers = frame.into_trailers().ok();
                        continue;
                    }
                },
                None if this.ended || this.steps.is_empty() => {
                    return Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
                }
                None => {
                    this.ended = true;
                    let last = this.filtered(0, Bytes::new(), true)?;
                    if last.is_empty() {
                        continue;
                    }
                    this.sent(&last);
                    return Poll::Ready(Some(Ok(Frame::data(last))));
                }
            };
            let data = this.filtered(from, data, false)?;
            if !data.is_empty() {
                this.sent(&data);
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
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

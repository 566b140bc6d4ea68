//! A body on its way through filters, in either direction.
//!
//! Without filters a frame passes untouched. With chunk filters each chunk passes them in order; a whole
//! body is collected first and then passes on as bytes at hand.

use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use smallvec::SmallVec;
use weir_filter::{Chunk, Direction, Exchange, Phases, StepIndex};

use crate::flow::{Flow, Interrupted};
use crate::gathered::Gathered;
use crate::headers;

/// What hyper wants as a body error; only its text and presence matter to us.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A body with the filters it still has to pass.
pub(crate) struct Passing<B> {
    /// Bytes at hand that go before what `inner` yields, and the first filter they have not passed.
    held: Option<(Bytes, usize)>,
    inner: Option<B>,
    steps: SmallVec<[StepIndex; 2]>,
    /// The chunk on its way through the filters, and which one has it.
    current: Option<(Chunk, usize)>,
    /// The filters have seen the end.
    ended: bool,
    trailers: Trailers,
    direction: Direction,
    flow: Rc<Flow>,
}

/// Where the fields after the body are.
enum Trailers {
    None,
    Arrived(HeaderMap),
    /// In the exchange, for the filters.
    Passing,
}

/// What collecting a body came to.
pub(crate) enum Collected {
    /// All of it.
    Whole(Bytes),
    /// More than the limit; nothing is lost, the body still passes.
    TooLarge,
}

impl<B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin> Passing<B> {
    pub(crate) fn new(inner: Option<B>, direction: Direction, flow: Rc<Flow>) -> Self {
        let inner = inner.filter(|body| !body.is_end_stream());
        Self {
            held: None,
            inner,
            steps: SmallVec::new(),
            current: None,
            ended: false,
            trailers: Trailers::None,
            direction,
            flow,
        }
    }

    pub(crate) fn of_bytes(bytes: Bytes, direction: Direction, flow: Rc<Flow>) -> Self {
        let held = (!bytes.is_empty()).then_some((bytes, 0));
        Self {
            held,
            inner: None,
            steps: SmallVec::new(),
            current: None,
            ended: false,
            trailers: Trailers::None,
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
        self.current = None;
        self.ended = false;
        self.held = (!bytes.is_empty()).then_some((bytes, 0));
    }

    /// Gives up the rest of the body; an upstream connection in the middle of one is closed.
    pub(crate) fn discard(&mut self) {
        self.replace(Bytes::new());
        self.trailers = Trailers::None;
    }

    /// Reads the whole body if it has no more than `limit` bytes.
    ///
    /// # Errors
    /// When the sender breaks off or an earlier filter ends the exchange.
    pub(crate) async fn collect(&mut self, limit: u64) -> Result<Collected, BodyError> {
        let mut gathered = Gathered::default();
        while let Some(data) = std::future::poll_fn(|cx| self.poll_data(cx)).await {
            gathered.push(data?);
            if gathered.len() > limit {
                self.held = Some((gathered.into_bytes(), self.steps.len()));
                return Ok(Collected::TooLarge);
            }
        }
        Ok(Collected::Whole(gathered.into_bytes()))
    }

    /// The next bytes, and the first filter they have not passed. `None` at the end, trailers or not.
    fn poll_unfiltered(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(Bytes, usize), BodyError>>> {
        if let Some(held) = self.held.take() {
            return Poll::Ready(Some(Ok(held)));
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
        match frame.into_data() {
            Ok(data) => {
                if self.direction == Direction::Request {
                    self.flow.count(Direction::Request, data.len());
                }
                Poll::Ready(Some(Ok((data, 0))))
            }
            Err(frame) => {
                self.inner = None;
                if let Ok(mut trailers) = frame.into_trailers() {
                    headers::settle_trailers(&mut trailers);
                    self.trailers = Trailers::Arrived(trailers);
                }
                Poll::Ready(None)
            }
        }
    }

    /// The next bytes that have passed every filter.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if self.current.is_some() {
                let bytes = ready!(self.poll_current(cx))?;
                if !bytes.is_empty() {
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
            let next = ready!(self.poll_unfiltered(cx)).transpose()?;
            match next {
                Some((bytes, from)) if from >= self.steps.len() => return Poll::Ready(Some(Ok(bytes))),
                Some((bytes, from)) => self.current = Some((Chunk { bytes, end: false }, from)),
                None if self.ended || self.steps.is_empty() => return Poll::Ready(None),
                None => {
                    self.ended = true;
                    let bytes = Bytes::new();
                    self.current = Some((Chunk { bytes, end: true }, 0));
                }
            }
        }
    }

    /// Takes the current chunk through the filters that it has not passed. What a filter swallows goes no further;
    /// the end reaches all.
    fn poll_current(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Interrupted>> {
        while let Some((chunk, at)) = &mut self.current
            && let Some(step) = self.steps.get(*at)
            && (*at == 0 || chunk.end || !chunk.bytes.is_empty())
        {
            match ready!(self.flow.poll_chunk(self.direction, *step, chunk, cx)) {
                Ok(bytes) => chunk.bytes = bytes,
                Err(interrupted) => {
                    self.current = None;
                    return Poll::Ready(Err(interrupted));
                }
            }
            *at += 1;
        }
        Poll::Ready(Ok(self
            .current
            .take()
            .map(|(chunk, _)| chunk.bytes)
            .unwrap_or_default()))
    }

    /// The trailers, once they have passed every filter that wants them.
    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<HeaderMap, BodyError>>> {
        let (phase, pick): (_, fn(&mut Exchange) -> &mut HeaderMap) = match self.direction {
            Direction::Request => (Phases::REQUEST_TRAILERS, |it| &mut it.request_trailers),
            Direction::Response => (Phases::RESPONSE_TRAILERS, |it| &mut it.response_trailers),
        };
        if let Trailers::Arrived(trailers) = &mut self.trailers {
            let trailers = mem::take(trailers);
            // The access log may want to see them too.
            if self.flow.skips(phase | Phases::LOG) {
                self.trailers = Trailers::None;
                return Poll::Ready(Some(Ok(trailers)));
            }
            if self.flow.poll_turn(cx).is_pending() {
                self.trailers = Trailers::Arrived(trailers);
                return Poll::Pending;
            }
            self.flow.with(|it| *pick(it) = trailers);
            self.trailers = Trailers::Passing;
        }
        if !matches!(self.trailers, Trailers::Passing) {
            return Poll::Ready(None);
        }
        let passed = ready!(self.flow.poll_trailers(self.direction, cx));
        ready!(self.flow.poll_turn(cx));
        self.trailers = Trailers::None;
        passed?;
        let keep = !self.flow.skips(Phases::LOG);
        let mut trailers = self.flow.with(|it| {
            let trailers = pick(it);
            if keep {
                trailers.clone()
            } else {
                mem::take(trailers)
            }
        });
        // What may not stand here may not be put here by a filter either.
        headers::settle_trailers(&mut trailers);
        Poll::Ready((!trailers.is_empty()).then_some(Ok(trailers)))
    }

    fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(data) = ready!(self.poll_data(cx)) {
            return Poll::Ready(Some(data.map(Frame::data)));
        }
        self.poll_trailers(cx)
            .map(|it| it.map(|it| it.map(Frame::trailers)))
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
                    this.flow.count(Direction::Response, sent);
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
            && self.current.is_none()
            && matches!(self.trailers, Trailers::None)
            && (self.ended || self.steps.is_empty())
            && self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        // Trailers want the chunked coding.
        if !self.steps.is_empty() || !matches!(self.trailers, Trailers::None) {
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

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
    inner: Option<B>,
    /// Most bodies have none, and a body is moved often on its way.
    detour: Option<Box<Detour>>,
    direction: Direction,
    flow: Rc<Flow>,
}

/// What a body needs that does not pass straight from its sender.
#[derive(Default)]
struct Detour {
    /// Bytes at hand that go before what the sender has yet to send, and the first filter they have not passed.
    held: Option<(Bytes, usize)>,
    steps: SmallVec<[StepIndex; 2]>,
    /// The chunk on its way through the filters, and which one has it.
    current: Option<(Chunk, usize)>,
    /// The filters have seen the end.
    ended: bool,
    trailers: Trailers,
}

/// Where the fields after the body are.
#[derive(Default)]
enum Trailers {
    #[default]
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

impl Detour {
    /// Of a body that is at hand; `None` when it is empty.
    fn holding(bytes: Bytes) -> Option<Box<Self>> {
        (!bytes.is_empty()).then(|| {
            Box::new(Self {
                held: Some((bytes, 0)),
                ..Self::default()
            })
        })
    }

    fn is_over(&self) -> bool {
        self.held.is_none()
            && self.current.is_none()
            && matches!(self.trailers, Trailers::None)
            && (self.ended || self.steps.is_empty())
    }
}

impl<B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin> Passing<B> {
    pub(crate) fn new(inner: Option<B>, direction: Direction, flow: Rc<Flow>) -> Self {
        let inner = inner.filter(|body| !body.is_end_stream());
        Self {
            inner,
            detour: None,
            direction,
            flow,
        }
    }

    pub(crate) fn of_bytes(bytes: Bytes, direction: Direction, flow: Rc<Flow>) -> Self {
        Self {
            inner: None,
            detour: Detour::holding(bytes),
            direction,
            flow,
        }
    }

    /// True when no byte is left to pass; trailers may be.
    pub(crate) fn has_no_bytes(&self) -> bool {
        self.inner.is_none() && self.detour.as_ref().is_none_or(|it| it.held.is_none())
    }

    /// From here on every chunk also passes this filter.
    pub(crate) fn through(&mut self, step: StepIndex) {
        self.detour.get_or_insert_default().steps.push(step);
    }

    /// Replaces the rest of the body by these bytes, which have passed every filter so far.
    pub(crate) fn replace(&mut self, bytes: Bytes) {
        self.inner = None;
        let trailers = self.detour.take().map(|it| it.trailers).unwrap_or_default();
        self.detour = Detour::holding(bytes);
        if !matches!(trailers, Trailers::None) {
            self.detour.get_or_insert_default().trailers = trailers;
        }
    }

    /// Gives up the rest of the body; an upstream connection in the middle of one is closed.
    pub(crate) fn discard(&mut self) {
        self.inner = None;
        self.detour = None;
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
                let detour = self.detour.get_or_insert_default();
                detour.held = Some((gathered.into_bytes(), detour.steps.len()));
                return Ok(Collected::TooLarge);
            }
        }
        Ok(Collected::Whole(gathered.into_bytes()))
    }

    /// The next bytes, and the first filter they have not passed. `None` at the end, trailers or not.
    fn poll_unfiltered(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(Bytes, usize), BodyError>>> {
        if let Some(held) = self.detour.as_mut().and_then(|it| it.held.take()) {
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
                    self.detour.get_or_insert_default().trailers = Trailers::Arrived(trailers);
                }
                Poll::Ready(None)
            }
        }
    }

    /// The next bytes that have passed every filter.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if self.detour.as_ref().is_some_and(|it| it.current.is_some()) {
                let bytes = ready!(self.poll_current(cx))?;
                if !bytes.is_empty() {
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
            let next = ready!(self.poll_unfiltered(cx)).transpose()?;
            let Some(detour) = &mut self.detour else {
                return Poll::Ready(next.map(|(bytes, _)| Ok(bytes)));
            };
            match next {
                Some((bytes, from)) if from >= detour.steps.len() => return Poll::Ready(Some(Ok(bytes))),
                Some((bytes, from)) => detour.current = Some((Chunk { bytes, end: false }, from)),
                None if detour.ended || detour.steps.is_empty() => return Poll::Ready(None),
                None => {
                    detour.ended = true;
                    let bytes = Bytes::new();
                    detour.current = Some((Chunk { bytes, end: true }, 0));
                }
            }
        }
    }

    /// Takes the current chunk through the filters that it has not passed. What a filter swallows goes no further;
    /// the end reaches all.
    fn poll_current(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Interrupted>> {
        let Some(detour) = &mut self.detour else {
            return Poll::Ready(Ok(Bytes::new()));
        };
        while let Some((chunk, at)) = &mut detour.current
            && let Some(step) = detour.steps.get(*at)
            && (*at == 0 || chunk.end || !chunk.bytes.is_empty())
        {
            match ready!(self.flow.poll_chunk(self.direction, *step, chunk, cx)) {
                Ok(bytes) => chunk.bytes = bytes,
                Err(interrupted) => {
                    detour.current = None;
                    return Poll::Ready(Err(interrupted));
                }
            }
            *at += 1;
        }
        let passed = detour.current.take();
        Poll::Ready(Ok(passed.map(|(chunk, _)| chunk.bytes).unwrap_or_default()))
    }

    /// The trailers, once they have passed every filter that wants them.
    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<HeaderMap, BodyError>>> {
        let Some(detour) = &mut self.detour else {
            return Poll::Ready(None);
        };
        let (phase, pick): (_, fn(&mut Exchange) -> &mut HeaderMap) = match self.direction {
            Direction::Request => (Phases::REQUEST_TRAILERS, |it| &mut it.request_trailers),
            Direction::Response => (Phases::RESPONSE_TRAILERS, |it| &mut it.response_trailers),
        };
        if let Trailers::Arrived(trailers) = &mut detour.trailers {
            let trailers = mem::take(trailers);
            // The access log may want to see them too.
            if self.flow.skips(phase | Phases::LOG) {
                detour.trailers = Trailers::None;
                return Poll::Ready(Some(Ok(trailers)));
            }
            if self.flow.poll_turn(cx).is_pending() {
                detour.trailers = Trailers::Arrived(trailers);
                return Poll::Pending;
            }
            self.flow.with(|it| *pick(it) = trailers);
            detour.trailers = Trailers::Passing;
        }
        if !matches!(detour.trailers, Trailers::Passing) {
            return Poll::Ready(None);
        }
        let passed = ready!(self.flow.poll_trailers(self.direction, cx));
        ready!(self.flow.poll_turn(cx));
        detour.trailers = Trailers::None;
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
        self.inner.as_ref().is_none_or(Body::is_end_stream)
            && self.detour.as_ref().is_none_or(|it| it.is_over())
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self
            .inner
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
        let Some(detour) = &self.detour else { return inner };
        // Trailers want the chunked coding.
        if !detour.steps.is_empty() || !matches!(detour.trailers, Trailers::None) {
            return SizeHint::default();
        }
        let held = detour.held.as_ref().map_or(0, |(bytes, _)| bytes.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(held + inner.lower());
        if let Some(upper) = inner.upper() {
            hint.set_upper(held + upper);
        }
        hint
    }
}

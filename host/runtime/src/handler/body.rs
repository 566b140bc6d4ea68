//! The body of a guest's answer. Reading it runs the guest, so the guest goes no faster than the client reads.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use weir_filter::{FailureReason, HandlerBody, HandlerError, HandlerResponse, HandlerRest};

use super::guest::Guest;
use crate::component::error;
use crate::fault::Fault;

/// An answer whose head was given.
pub(super) struct Answer {
    guest: Guest,
    /// How the guest ended.
    ended: Option<Result<(), HandlerError>>,
    /// Gone when it is over.
    body: Option<HyperOutgoingBody>,
}

impl Answer {
    pub(super) fn response(
        response: Response<HyperOutgoingBody>,
        guest: Guest,
        ended: Option<Result<(), HandlerError>>,
    ) -> HandlerResponse {
        let (head, body) = response.into_parts();
        HandlerResponse {
            status: head.status,
            headers: head.headers,
            body: Box::new(Self {
                guest,
                ended,
                body: Some(body),
            }),
        }
    }

    fn run(&mut self, cx: &mut Context<'_>) {
        if self.ended.is_none()
            && let Poll::Ready(result) = self.guest.poll(cx)
        {
            self.ended = Some(result);
        }
    }

    /// Why the body is not whole, if it is not. What the guest wrote before it failed has been passed on.
    fn failure(&mut self) -> Option<HandlerError> {
        self.ended.take_if(|it| it.is_err())?.err()
    }

    #[cold]
    fn broken(&mut self, message: String) -> HandlerError {
        self.failure().unwrap_or_else(|| {
            let reason = FailureReason::NoReply;
            HandlerError::Failed(error(self.guest.used(), Fault { reason, message }))
        })
    }
}

impl HandlerBody for Answer {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HandlerError>>> {
        self.run(cx);
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        match Pin::new(body).poll_frame(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => {
                self.guest.progressed();
                // A client that has all it was promised reads no further: the guest gets its chance to end now.
                self.run(cx);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(cause))) => {
                self.body = None;
                let broken = self.broken(format!("it gave its body up: {cause}"));
                Poll::Ready(Some(Err(broken)))
            }
            Poll::Ready(None) => {
                self.body = None;
                Poll::Ready(self.failure().map(Err))
            }
        }
    }

    fn rest(self: Box<Self>) -> Option<HandlerRest> {
        self.guest.rest().map(|rest| Box::pin(rest) as HandlerRest)
    }
}

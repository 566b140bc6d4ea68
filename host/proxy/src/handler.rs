//! A route's share that a handler answers: the request it is given, and its answer as a response on its way.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{PathAndQuery, Scheme};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use weir_filter::{Exchange, Handler, HandlerBody, HandlerError, HandlerRequest, HandlerResponse};

use crate::body::{BodyError, Passing};
use crate::flow::Flow;
use crate::headers::{self, X_FORWARDED_FOR, X_FORWARDED_PROTO};
use crate::upstream::UpstreamBody;
use crate::worker::Worker;

/// The body of a response, whoever gave it.
pub(crate) enum ResponseSource {
    Upstream(UpstreamBody),
    Handler(HandlerAnswer),
}

/// A handler's answer, held to the length that it promised.
pub(crate) struct HandlerAnswer {
    /// Gone when it broke off.
    body: Option<Box<dyn HandlerBody>>,
    ended: bool,
    /// What is left of the promised length.
    left: Option<u64>,
    worker: Rc<Worker>,
}

/// The head of an answer, and its body.
pub(crate) struct Handled {
    pub(crate) head: HandlerResponse,
    left: Option<u64>,
}

/// Asks a handler for its answer's head. The request is copied: response phases and the log want it too.
///
/// # Errors
/// When the handler fails, the client breaks off, or a filter ends the exchange while the body passes it.
pub(crate) async fn ask(
    flow: &Rc<Flow>,
    handler: &Arc<dyn Handler>,
    body: Passing<Incoming>,
) -> Result<Handled, HandlerError> {
    let downstream = flow.downstream();
    let client = &downstream.client;
    let mut request = flow.with(|exchange| request(exchange, client, &body));
    request.callouts = Some(downstream.worker.callouts());
    if !body.is_end_stream() {
        request.body = Some(Box::pin(body));
    }
    let mut head = handler.handle(request).await?;
    headers::remove_hop_by_hop(&mut head.headers);
    let left = promised(&mut head.headers);
    Ok(Handled { head, left })
}

fn request(exchange: &Exchange, client: &HeaderValue, body: &Passing<Incoming>) -> HandlerRequest {
    let head = &exchange.request;
    let path = head.uri.path_and_query().cloned();
    let mut headers = head.headers.clone();
    headers.remove(header::HOST);
    headers.remove(header::CONTENT_LENGTH);
    if let Some(length) = body.size_hint().exact().filter(|_| !body.is_end_stream()) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    headers.append(X_FORWARDED_FOR, client.clone());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    HandlerRequest {
        method: head.method.clone(),
        scheme: Scheme::HTTP,
        authority: head.authority().to_owned(),
        path: path.unwrap_or_else(|| PathAndQuery::from_static("/")),
        headers,
        body: None,
        callouts: None,
    }
}

/// The length that an answer promises. What is none is taken away.
fn promised(headers: &mut HeaderMap) -> Option<u64> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let first = lengths.next()?.to_str().ok();
    let digits = first.filter(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit()));
    let length = digits
        .and_then(|it| it.parse().ok())
        .filter(|_| lengths.next().is_none());
    if length.is_none() {
        headers.remove(header::CONTENT_LENGTH);
    }
    length
}

impl Handled {
    /// The head's parts, and the body as it is read on this worker.
    pub(crate) fn into_parts(self, flow: &Flow) -> (http::StatusCode, HeaderMap, ResponseSource) {
        let HandlerResponse {
            status,
            headers,
            body,
        } = self.head;
        let answer = HandlerAnswer {
            body: Some(body),
            ended: false,
            left: self.left,
            worker: Rc::clone(&flow.downstream().worker),
        };
        (status, headers, ResponseSource::Handler(answer))
    }
}

impl HandlerAnswer {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(body) = self.body.as_mut().filter(|_| !self.ended) else {
            return Poll::Ready(None);
        };
        let frame = ready!(body.poll_frame(cx)).transpose().map_err(report)?;
        let size = frame.as_ref().and_then(Frame::data_ref).map(Bytes::len);
        self.ended = frame.is_none();
        if let Some(left) = &mut self.left {
            // A client that was promised more would take the next response for the rest.
            if self.ended && *left > 0 {
                return Poll::Ready(Some(Err(format!("the handler ended {left} bytes early").into())));
            }
            match left.checked_sub(size.unwrap_or_default() as u64) {
                Some(rest) => *left = rest,
                None => return Poll::Ready(Some(Err("the handler sent more than it promised".into()))),
            }
        }
        Poll::Ready(frame.map(Ok))
    }
}

impl Drop for HandlerAnswer {
    fn drop(&mut self) {
        let complete = self.ended || self.left == Some(0);
        let Some(rest) = self.body.take().filter(|_| complete).and_then(|body| body.rest()) else {
            return;
        };
        // The client has its answer; what the handler does after it is bounded by its own limits.
        self.worker.endings.spawn_local(async move {
            if let Err(error) = rest.await {
                tracing::warn!(
                    filter = error.filter,
                    reason = %error.reason,
                    error = error.message,
                    "handler failed after its answer"
                );
            }
        });
    }
}

impl Body for ResponseSource {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Upstream(body) => Pin::new(body).poll_frame(cx),
            Self::Handler(answer) => {
                let frame = ready!(answer.poll_next(cx));
                if matches!(frame, Some(Err(_))) {
                    answer.body = None;
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Upstream(body) => body.is_end_stream(),
            Self::Handler(answer) => answer.ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Upstream(body) => body.size_hint(),
            Self::Handler(answer) => answer.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

/// Reports a failure in the middle of an answer, for which no reply is possible any more.
fn report(error: HandlerError) -> BodyError {
    if let HandlerError::Failed(error) = &error {
        tracing::warn!(
            filter = error.filter,
            reason = %error.reason,
            error = error.message,
            "handler failed in the middle of its answer"
        );
    }
    Box::new(error)
}

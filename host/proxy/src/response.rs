//! The only place where a reason becomes a response.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use weir_filter::{Exchange, FailureReason, FilterError, HandlerError, Reason, Reply};

use crate::flow::Interruption;
use crate::upstream::UpstreamError;

/// Makes the reply for a reason, and notes the reason in the exchange's facts.
pub(crate) fn for_reason(exchange: &mut Exchange, reason: Reason, detail: Option<String>) -> Box<Reply> {
    exchange.facts.reason = Some(reason);
    exchange.facts.reason_detail = detail;
    let (status, text) = explain(reason);
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    Box::new(Reply {
        status,
        headers,
        body: Bytes::from_static(text.as_bytes()),
    })
}

/// Makes the reply for a filter that failed closed.
pub(crate) fn for_failure(exchange: &mut Exchange, error: &FilterError) -> Box<Reply> {
    // The message may quote the guest: it goes to the log only, the client learns no more than the class.
    let too_late = exchange.response.status.is_some();
    let mut reply = for_reason(exchange, Reason::Filter(error.reason), Some(error.filter.clone()));
    if too_late {
        // Whatever went wrong on the way back is not the client's doing.
        reply.status = reply.status.max(StatusCode::INTERNAL_SERVER_ERROR);
    }
    reply
}

/// Makes the reply for an upstream that gave no response.
pub(crate) fn for_upstream(exchange: &mut Exchange, error: &UpstreamError) -> Box<Reply> {
    for_reason(exchange, error.reason(), Some(error.to_string()))
}

/// Makes the reply for a handler that gave no answer.
pub(crate) fn for_handler(exchange: &mut Exchange, error: &HandlerError) -> Box<Reply> {
    match error {
        HandlerError::Failed(error) => {
            tracing::warn!(
                filter = error.filter,
                reason = %error.reason,
                error = error.message,
                "handler failed"
            );
            for_failure(exchange, error)
        }
        HandlerError::RequestBody(_) => {
            for_reason(exchange, Reason::DownstreamReset, Some(error.to_string()))
        }
    }
}

/// Makes the reply for a filter that ended the exchange from a body phase.
pub(crate) fn for_interruption(exchange: &mut Exchange, interruption: Interruption) -> Box<Reply> {
    match interruption {
        Interruption::Reply(reply) => {
            exchange.facts.reason = Some(Reason::FilterReply);
            reply
        }
        Interruption::Failed(error) => for_failure(exchange, &error),
    }
}

/// Tells the client why the gateway answered itself, where that is switched on: the reason, and what it is about.
pub(crate) fn show_reason(exchange: &mut Exchange) {
    let facts = &exchange.facts;
    let Some(reason) = facts.reason else { return };
    let detail = facts.reason_detail.as_deref().unwrap_or_default();
    let text = match detail {
        "" => reason.as_str().to_owned(),
        detail => format!("{reason}; detail={detail:?}"),
    };
    // A detail that no field can hold, such as one in another script, is left out.
    let value = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(reason.as_str()));
    exchange.response.headers.insert(X_WEIR_REASON, value);
}

/// Why the gateway answered itself; sent when the Gateway asks for it.
const X_WEIR_REASON: HeaderName = HeaderName::from_static("x-weir-reason");

/// The status and the sentence a client reads.
const fn explain(reason: Reason) -> (StatusCode, &'static str) {
    match reason {
        Reason::BadRequest => (StatusCode::BAD_REQUEST, "bad request\n"),
        Reason::NoRoute => (StatusCode::NOT_FOUND, "no route matches this request\n"),
        Reason::NoBackend => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "this route has no valid backend\n",
        ),
        Reason::NoEndpoint => (
            StatusCode::SERVICE_UNAVAILABLE,
            "no endpoint of the backend is ready\n",
        ),
        Reason::UpstreamConnect => (
            StatusCode::SERVICE_UNAVAILABLE,
            "cannot connect to the upstream\n",
        ),
        Reason::UpstreamReset => (StatusCode::BAD_GATEWAY, "the upstream broke off\n"),
        Reason::UpstreamTimeout => (
            StatusCode::GATEWAY_TIMEOUT,
            "the upstream did not answer in time\n",
        ),
        Reason::DownstreamReset => (StatusCode::BAD_REQUEST, "the request body ended early\n"),
        Reason::Unsupported => (StatusCode::NOT_IMPLEMENTED, "not supported by this gateway\n"),
        Reason::FilterReply => (StatusCode::OK, ""),
        Reason::Filter(FailureReason::BodyTooLarge) => {
            (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n")
        }
        Reason::Filter(FailureReason::Exhausted) => {
            (StatusCode::SERVICE_UNAVAILABLE, "a policy has no free instance\n")
        }
        Reason::Filter(FailureReason::Backoff | FailureReason::Missing) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "a policy is not there at the moment\n",
        ),
        Reason::Filter(FailureReason::Timeout) => (StatusCode::GATEWAY_TIMEOUT, "a policy took too long\n"),
        Reason::Filter(_) => (StatusCode::INTERNAL_SERVER_ERROR, "a policy failed\n"),
    }
}

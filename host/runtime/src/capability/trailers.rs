//! Interfaces `request-trailers` and `response-trailers`: the fields after a body.

use http::header::HeaderMap;
use weir_filter::ExchangeState;

use super::fields::Message;

/// The fields after a request's body.
pub(super) struct RequestTrailers;

/// The fields after a response's body.
pub(super) struct ResponseTrailers;

impl Message for RequestTrailers {
    fn fields(exchange: &ExchangeState) -> &HeaderMap {
        &exchange.request_trailers
    }

    fn fields_mut(exchange: &mut ExchangeState) -> &mut HeaderMap {
        &mut exchange.request_trailers
    }
}

impl Message for ResponseTrailers {
    fn fields(exchange: &ExchangeState) -> &HeaderMap {
        &exchange.response_trailers
    }

    fn fields_mut(exchange: &mut ExchangeState) -> &mut HeaderMap {
        &mut exchange.response_trailers
    }
}

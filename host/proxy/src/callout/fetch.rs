//! One request of a filter and its whole response, over the worker's HTTP/1 connections.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;
use weir_filter::{CalloutError, CalloutRequest, CalloutResponse};

use super::{request, upstream_error};
use crate::gathered::Gathered;
use crate::upstream::{Answer, Pool, UpstreamBody, WholeRequest};
use crate::worker::Worker;

/// Sends a request to an endpoint of the named cluster of the current plan and reads the response, all within the
/// request's timeout. Dropping the future closes the connection.
///
/// # Errors
/// Every [`CalloutError`].
pub(super) async fn fetch(
    worker: &Worker,
    cluster: &str,
    request: CalloutRequest,
) -> Result<CalloutResponse, CalloutError> {
    let (timeout, limit) = (request.timeout, request.largest_response);
    let (pool, request) = request::choose(worker, cluster, request)?;
    tokio::time::timeout(timeout, exchange(&pool, &request, limit))
        .await
        .unwrap_or(Err(CalloutError::Timeout))
}

async fn exchange(
    pool: &Rc<Pool>,
    request: &WholeRequest,
    limit: u64,
) -> Result<CalloutResponse, CalloutError> {
    let answer = pool
        .fetch(request)
        .await
        .map_err(|error| upstream_error(&error))?;
    let Answer {
        status,
        headers,
        body,
        ..
    } = answer;
    let (body, trailers) = collect(body, limit).await?;
    Ok(CalloutResponse {
        status,
        headers,
        body,
        trailers,
    })
}

/// Reads a body to its end; a response of one piece is not copied.
async fn collect(mut body: UpstreamBody, limit: u64) -> Result<(Bytes, HeaderMap), CalloutError> {
    let mut gathered = Gathered::default();
    let mut trailers = HeaderMap::new();
    loop {
        // What a length announces need not be read to be too large.
        if gathered.len().saturating_add(body.size_hint().lower()) > limit {
            return Err(CalloutError::TooLarge);
        }
        let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await else {
            return Ok((gathered.into_bytes(), trailers));
        };
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "callout broke off");
            CalloutError::Reset
        })?;
        match frame.into_data() {
            Ok(data) => gathered.push(data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
}

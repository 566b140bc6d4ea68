//! A stream of a filter, over a shared HTTP/2 connection of the worker.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::uri::Scheme;
use http::{Request, Uri, Version};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::sync::{mpsc, oneshot};
use weir_filter::{CalloutError, CalloutRequest, StreamEvent};

use super::{request, upstream_error};
use crate::upstream::{Outgoing, Pool, WholeRequest};
use crate::worker::Worker;

/// Opens a stream to an endpoint of the named cluster of the current plan and hands over what arrives on it, until it
/// ends or nobody takes it any more. Then, or when the future is dropped, the stream is reset.
pub(super) async fn run(
    worker: &Worker,
    cluster: &str,
    request: CalloutRequest,
    outgoing: mpsc::Receiver<Bytes>,
    events: mpsc::Sender<StreamEvent>,
) {
    let ended = tokio::select! {
        biased;
        () = events.closed() => return,
        ended = converse(worker, cluster, request, outgoing, &events) => ended,
    };
    if let Err(error) = ended {
        // Who left in between does not want to know.
        let _ = events.send(StreamEvent::Failed(error)).await;
    }
}

async fn converse(
    worker: &Worker,
    cluster: &str,
    request: CalloutRequest,
    outgoing: mpsc::Receiver<Bytes>,
    events: &mpsc::Sender<StreamEvent>,
) -> Result<(), CalloutError> {
    let (pool, request) = request::choose(worker, cluster, request)?;
    // Dropped before its end, it takes the request's half with it.
    let (ended, responded) = oneshot::channel();
    let first = request.body.clone();
    let body = Outgoing::new(first, outgoing, responded, events.downgrade());
    receive(&pool, http2(request, body)?, events).await?;
    let _ = ended.send(());
    Ok(())
}

/// Reads the response no faster than its events are taken.
async fn receive(
    pool: &Rc<Pool>,
    request: Request<Outgoing>,
    events: &mpsc::Sender<StreamEvent>,
) -> Result<(), CalloutError> {
    let sent = pool.stream(request).await;
    let (response, _lease) = sent.map_err(|error| upstream_error(&error))?;
    let (head, mut body) = response.into_parts();
    let mut event = StreamEvent::Head(head.status, head.headers);
    loop {
        // Nobody takes it: that ends this future elsewhere too, and is no end in order.
        let room = events.reserve().await.map_err(|_| CalloutError::Reset)?;
        let last = matches!(event, StreamEvent::Trailers(_));
        room.send(event);
        if last {
            return Ok(());
        }
        // Room first: nothing is read that nobody takes.
        drop(events.reserve().await);
        match next(&mut body).await? {
            Some(next) => event = next,
            None => return Ok(()),
        }
    }
}

async fn next(body: &mut Incoming) -> Result<Option<StreamEvent>, CalloutError> {
    loop {
        let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await else {
            return Ok(None);
        };
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "stream broke off");
            CalloutError::Reset
        })?;
        match frame.into_data().map_err(Frame::into_trailers) {
            Ok(data) if data.is_empty() => {}
            Ok(data) => return Ok(Some(StreamEvent::Data(data))),
            Err(trailers) => return Ok(trailers.ok().map(StreamEvent::Trailers)),
        }
    }
}

fn http2(request: WholeRequest, body: Outgoing) -> Result<Request<Outgoing>, CalloutError> {
    let WholeRequest {
        method,
        path,
        host,
        headers,
        ..
    } = request;
    let uri = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(host)
        .path_and_query(path)
        .build()
        .map_err(|_| CalloutError::Invalid)?;
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    // They are handed over, and gRPC asks for the promise.
    request
        .headers_mut()
        .insert(header::TE, HeaderValue::from_static("trailers"));
    Ok(request)
}

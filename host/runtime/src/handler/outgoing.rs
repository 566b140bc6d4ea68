//! `wasi:http/outgoing-handler`: requests of a handler to its granted backends, by the gateway's own clusters. Any
//! other request is denied; nothing here opens a connection.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};
use weir_filter::{CalloutError, CalloutRequest, CalloutResponse, Callouts};

use crate::state::Use;

/// Pieces that the host holds of an outgoing body before it lets the guest wait, and the size of one.
const BUFFERED_CHUNKS: usize = 1;
const CHUNK: usize = 64 << 10;

/// The requests that a handler may send.
pub(super) enum Outgoing {
    /// None.
    Denied,
    /// To its backends.
    Granted {
        used: Arc<Use>,
        callouts: Arc<dyn Callouts>,
        made: u32,
    },
}

/// A way that was granted.
struct Way {
    used: Arc<Use>,
    callouts: Arc<dyn Callouts>,
    cluster: String,
}

type Answered = (
    Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);

impl Outgoing {
    pub(super) fn to(used: &Arc<Use>, callouts: Option<Arc<dyn Callouts>>) -> Self {
        callouts.map_or(Self::Denied, |callouts| Self::Granted {
            used: Arc::clone(used),
            callouts,
            made: 0,
        })
    }

    /// The way for a request: its host, with the port or without, is the name of a backend.
    fn way(&mut self, request: &Request<WasiBody>) -> Result<Way, Error> {
        let Self::Granted { used, callouts, made } = self else {
            return Err(Error::HttpRequestDenied);
        };
        let authority = request.uri().authority();
        let named = |name: &str| authority.is_some_and(|it| it.as_str() == name || it.host() == name);
        let Some(backend) = used.backends.iter().find(|it| named(&it.name)) else {
            let authority: String = authority.map_or("", |it| it.as_str()).chars().take(80).collect();
            tracing::warn!(
                filter = used.filter,
                authority,
                "a request to a host that is not the name of a granted backend"
            );
            used.telemetry.called_out("not_granted");
            return Err(Error::HttpRequestDenied);
        };
        if *made >= used.callouts {
            used.telemetry.called_out("over_budget");
            return Err(Error::ConnectionLimitReached);
        }
        *made += 1;
        if backend.cluster.is_empty() {
            used.telemetry.called_out("connect");
            return Err(Error::DestinationUnavailable);
        }
        Ok(Way {
            used: Arc::clone(used),
            callouts: Arc::clone(callouts),
            cluster: backend.cluster.clone(),
        })
    }
}

impl WasiHttpHooks for Outgoing {
    fn set_host_header(&mut self) -> bool {
        // The gateway writes it, from the authority.
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Answered, Error>> + Send> {
        let way = self.way(&request);
        Box::new(async move {
            let response = fetch(way?, request, options).await?;
            let done: Box<dyn Future<Output = _> + Send> = Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        BUFFERED_CHUNKS
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }
}

async fn fetch(
    way: Way,
    request: Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<Response<WasiBody>, Error> {
    let (head, body) = request.into_parts();
    let asked = options.and_then(|it| it.first_byte_timeout);
    let request = CalloutRequest {
        method: head.method,
        path: head.uri.path_and_query().map_or("/", |it| it.as_str()).to_owned(),
        authority: head.uri.authority().map_or("", |it| it.as_str()).to_owned(),
        headers: head.headers,
        body: collect(body, way.used.limits.body).await?,
        timeout: asked
            .unwrap_or(way.used.limits.timeout)
            .min(way.used.limits.timeout),
        largest_response: way.used.limits.body,
    };
    let answered = way.callouts.fetch(&way.cluster, request).await;
    let result = answered.as_ref().map_or_else(|error| error.as_str(), |_| "ok");
    way.used.telemetry.called_out(result);
    answered.map(response).map_err(error)
}

/// The whole body of a request, if it has no more than `limit` bytes. Its trailers are left out: callouts have none.
async fn collect(mut body: WasiBody, limit: u64) -> Result<Bytes, Error> {
    let mut whole = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame?.into_data() else { continue };
        whole.extend_from_slice(&data);
        if whole.len() as u64 > limit {
            return Err(Error::HttpRequestBodySize(Some(whole.len() as u64)));
        }
    }
    Ok(whole.freeze())
}

fn response(answer: CalloutResponse) -> Response<WasiBody> {
    let trailers = (!answer.trailers.is_empty()).then_some(Ok(answer.trailers));
    let body = Full::new(answer.body).with_trailers(async move { trailers });
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

const fn error(error: CalloutError) -> Error {
    match error {
        CalloutError::Connect => Error::DestinationUnavailable,
        CalloutError::Timeout => Error::HttpResponseTimeout,
        CalloutError::TooLarge => Error::HttpResponseBodySize(None),
        CalloutError::Reset => Error::HttpResponseIncomplete,
        CalloutError::Invalid => Error::HttpRequestUriInvalid,
    }
}

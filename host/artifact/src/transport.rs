//! HTTP as a fetch needs it: one request at a time, every wait and every byte bounded, redirects only where asked.

mod reply;
mod tls;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::Full;
use hyper::body::Body as _;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;
use url::Url;

pub(crate) use self::reply::Reply;
use crate::error::chain;
use crate::{FetchError, Limits};

/// Response heads beyond this end the connection.
const MAX_HEAD: usize = 64 << 10;

/// Keeps connections for the few requests of one fetch, not longer.
const POOL_IDLE: Duration = Duration::from_secs(15);

/// Sends requests. Cheap to share; holds a small pool of connections.
#[derive(Debug)]
pub(crate) struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    idle: Duration,
    total: Duration,
    redirects: u32,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }
}

impl Client {
    /// Builds a client that trusts the system's roots and those of a PEM file.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub(crate) fn build(limits: &Limits, ca_file: Option<&Path>) -> Result<Self, FetchError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(limits.connect_timeout));
        connector.set_nodelay(true);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(ca_file)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .http1_max_buf_size(MAX_HEAD)
            .build(connector);
        Ok(Self {
            inner,
            idle: limits.idle_timeout,
            total: limits.total_timeout,
            redirects: limits.redirects,
        })
    }

    /// Sends one request and waits for the head of its answer, whatever that is.
    pub(crate) async fn send(&self, call: Call) -> Result<Reply, FetchError> {
        let shown = shown(&call.url);
        let invalid =
            |error: http::Error| FetchError::Request(format!("{shown} is no URL for a request: {error}"));
        let mut request = Request::builder()
            .method(call.method)
            .uri(call.url.as_str())
            .body(Full::new(call.body))
            .map_err(invalid)?;
        *request.headers_mut() = call.headers;
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static(AGENT));
        // An upload is answered when it is there, which its size decides.
        let after = if request.body().size_hint().exact() == Some(0) {
            self.idle
        } else {
            self.total
        };
        let answer = timeout(after, self.inner.request(request)).await;
        let response = answer
            .map_err(|_| FetchError::Timeout {
                what: format!("the answer of {shown}"),
                after,
            })?
            .map_err(|error| FetchError::Connection {
                url: shown,
                problem: chain(&error),
            })?;
        Ok(Reply::new(call.url, response, self.idle))
    }

    /// Sends a request without secrets for a foreign place, and follows redirects.
    pub(crate) async fn send_following(&self, call: Call) -> Result<Reply, FetchError> {
        let reply = self.send(call.clone()).await?;
        self.follow(call, reply).await
    }

    /// Follows the redirects of an answer that `call` got. The login goes along only to the same server, and a
    /// request that was encrypted stays so.
    pub(crate) async fn follow(&self, mut call: Call, mut reply: Reply) -> Result<Reply, FetchError> {
        for _ in 0..self.redirects {
            if !reply.is_redirect() {
                return Ok(reply);
            }
            let next = target(&call.url, &reply)?;
            if next.origin() != call.url.origin() {
                call.headers.remove(AUTHORIZATION);
            }
            call.url = next;
            reply = self.send(call.clone()).await?;
        }
        if reply.is_redirect() {
            return Err(refused(&call.url, "it is one too many"));
        }
        Ok(reply)
    }
}

const AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));

/// A URL for messages. What comes after `?` may be a secret: storage services sign their URLs.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// Where a redirect leads, if it may be followed.
pub(crate) fn target(from: &Url, reply: &Reply) -> Result<Url, FetchError> {
    let location = reply
        .header(LOCATION.as_str())
        .ok_or_else(|| refused(from, "it does not say where to"))?;
    let next = from
        .join(location)
        .map_err(|_| refused(from, "the new place is not a URL"))?;
    match (from.scheme(), next.scheme()) {
        ("https", "https") | ("http", "http" | "https") => {}
        ("https", "http") => return Err(refused(from, "it leads from https to http")),
        _ => return Err(refused(from, "it leads to something that is not http or https")),
    }
    if !next.username().is_empty() || next.password().is_some() {
        return Err(refused(from, "the new place has a user or password in it"));
    }
    Ok(next)
}

fn refused(url: &Url, problem: &'static str) -> FetchError {
    FetchError::Redirect {
        url: shown(url),
        problem,
    }
}

//! The admin endpoint: what a gateway runs, for people and probes. Loopback only, read only.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Where `weir run` answers unless told otherwise.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9099);

/// How long accepting rests after an error.
const REST: Duration = Duration::from_millis(50);

/// How long [`fetch`] waits for its answer.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest answer [`fetch`] reads.
const MAX_ANSWER: usize = 64 << 20;

/// The `Content-Type` of `GET /metrics`.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the endpoint shows at the moment.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// A configuration is live.
    pub ready: bool,
    /// `GET /status`: JSON.
    pub status: Arc<str>,
    /// `GET /config`: the live documents, as YAML.
    pub config: Arc<str>,
}

/// Writes the page that `GET /metrics` answers with; called for each request of it.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Opens the endpoint's socket.
///
/// # Errors
/// When the address is not a loopback one or cannot be bound.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        return Err(io::Error::other(
            "the admin endpoint is not protected: give it a loopback address",
        ));
    }
    TcpListener::bind(address).await
}

/// Answers until it is dropped, and its connections with it. `metrics` writes the page of OpenMetrics; without it
/// there is none.
pub async fn serve(listener: TcpListener, view: watch::Receiver<View>, metrics: Option<Metrics>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // Out of descriptors: asking again at once would only spin.
                    tokio::time::sleep(REST).await;
                    continue;
                };
                let (view, metrics) = (view.clone(), metrics.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let answer = answer(&request, &view.borrow(), metrics.as_ref());
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    // A probe that breaks off has nothing to be told.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .timer(TokioTimer::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Asks the admin endpoint of a running gateway.
///
/// # Errors
/// When nothing answers there, or not with 200.
pub async fn fetch(address: SocketAddr, path: &'static str) -> io::Result<Bytes> {
    let answer = tokio::time::timeout(FETCH_TIMEOUT, ask(address, path)).await;
    answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn ask(address: SocketAddr, path: &'static str) -> io::Result<Bytes> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = http::Uri::from_static(path);
    request
        .headers_mut()
        .insert(header::HOST, HeaderValue::from_static("weir"));
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    if response.status() != StatusCode::OK {
        return Err(io::Error::other(format!("{path} answered {}", response.status())));
    }
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(io::Error::other)?;
    driver.abort();
    Ok(body.to_bytes())
}

/// Loopback by address, or by the names that stand for it.
fn is_local(request: &Request<Incoming>) -> bool {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|it| it.to_str().ok())
        .unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    let address = name
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    address.map_or(matches!(name, "" | "localhost" | "weir"), |it| it.is_loopback())
}

fn answer(request: &Request<Incoming>, view: &View, metrics: Option<&Metrics>) -> Response<Full<Bytes>> {
    let page;
    let (status, kind, text) = match (request.method(), request.uri().path()) {
        // A name in the Host header may be a web page's, which a browser was talked into asking for.
        _ if !is_local(request) => (
            StatusCode::FORBIDDEN,
            "text/plain",
            &b"ask for it by its address\n"[..],
        ),
        (&Method::GET, "/status") => (StatusCode::OK, "application/json", view.status.as_bytes()),
        (&Method::GET, "/config") => (StatusCode::OK, "application/yaml", view.config.as_bytes()),
        (&Method::GET, "/metrics") if let Some(metrics) = metrics => {
            page = metrics();
            (StatusCode::OK, OPEN_METRICS, page.as_bytes())
        }
        (&Method::GET, "/live") => (StatusCode::OK, "text/plain", &b"live\n"[..]),
        (&Method::GET, "/ready") if view.ready => (StatusCode::OK, "text/plain", &b"ready\n"[..]),
        (&Method::GET, "/ready") => (StatusCode::SERVICE_UNAVAILABLE, "text/plain", &b"not ready\n"[..]),
        (&Method::GET, _) => (
            StatusCode::NOT_FOUND,
            "text/plain",
            &b"try /status /config /metrics /ready /live\n"[..],
        ),
        _ => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", &b"only GET\n"[..]),
    };
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn metrics_are_written_anew_for_every_request_and_missing_without_a_writer() {
        let asked = std::sync::atomic::AtomicU32::new(0);
        let write = move || {
            let before = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            format!("asked {before}\n# EOF\n")
        };
        for (metrics, expected) in [
            (
                Some(Arc::new(write) as Metrics),
                [Some("asked 0\n# EOF\n"), Some("asked 1\n# EOF\n")],
            ),
            (None, [None, None]),
        ] {
            let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
            let address = listener.local_addr().unwrap();
            let (_view, shown) = watch::channel(View::default());
            let server = tokio::spawn(serve(listener, shown, metrics));
            for page in expected {
                assert_eq!(
                    fetch(address, "/metrics").await.ok().as_deref(),
                    page.map(str::as_bytes)
                );
            }
            server.abort();
        }
    }
}

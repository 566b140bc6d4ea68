//! Plain `wasi:http` components answer requests, reach nothing that was not granted, and end with their request.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Method, StatusCode};
use http_body::{Body, Frame};
use weir_filter::{
    BodyError, CalloutError, CalloutRequest, CalloutResponse, CalloutStream, Callouts, FailureReason,
    FetchFuture, Handler, HandlerBody, HandlerError, HandlerRequest, HandlerResponse,
};
use weir_model::{Capability, ChainFilter, GrantedBackend, Limits, Plugin};
use weir_runtime::{LoadError, Runtime};

use crate::harness::{LIMITS, chain_filter, granted, guest, load, plugin, runtime, worker};

/// A handler with default limits and these grants.
fn handler_with(
    runtime: &Runtime,
    name: &str,
    change: impl FnOnce(&mut ChainFilter),
) -> Result<Arc<dyn Handler>, LoadError> {
    let mut filter = ChainFilter {
        limits: Limits {
            deadline: Duration::from_secs(2),
            ..LIMITS
        },
        ..chain_filter("")
    };
    filter.name = format!("handler/test/{name}");
    change(&mut filter);
    let plugin = Plugin {
        capabilities: filter.capabilities.clone(),
        ..plugin(name)
    };
    runtime.load(&plugin, &guest(name))?.handler(&filter)
}

fn handler(name: &str) -> Arc<dyn Handler> {
    handler_with(&runtime(), name, |_| {}).unwrap()
}

fn request(path: &'static str) -> HandlerRequest {
    HandlerRequest {
        method: Method::GET,
        scheme: Scheme::HTTP,
        authority: "a.example:8080".to_owned(),
        path: PathAndQuery::from_static(path),
        headers: HeaderMap::new(),
        body: None,
        callouts: None,
    }
}

/// A body of these pieces; what is pending stays so for ever.
struct Pieces {
    frames: VecDeque<Option<Result<Frame<Bytes>, BodyError>>>,
    asked: Arc<AtomicUsize>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.frames.pop_front() {
            Some(Some(frame)) => Poll::Ready(Some(frame)),
            Some(None) => {
                self.frames.push_front(None);
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }
}

fn data(bytes: &'static [u8]) -> Option<Result<Frame<Bytes>, BodyError>> {
    Some(Ok(Frame::data(Bytes::from_static(bytes))))
}

fn sending(
    path: &'static str,
    frames: impl IntoIterator<Item = Option<Result<Frame<Bytes>, BodyError>>>,
) -> HandlerRequest {
    let body = Pieces {
        frames: frames.into_iter().collect(),
        asked: Arc::default(),
    };
    HandlerRequest {
        method: Method::POST,
        body: Some(Box::pin(body)),
        ..request(path)
    }
}

async fn next(body: &mut Box<dyn HandlerBody>) -> Option<Result<Frame<Bytes>, HandlerError>> {
    poll_fn(|cx| body.poll_frame(cx)).await
}

/// The body as text, its trailers, and how it ended.
async fn read(mut response: HandlerResponse) -> (String, HeaderMap, Result<(), HandlerError>) {
    let (mut text, mut trailers) = (Vec::new(), HeaderMap::new());
    loop {
        let ended = match next(&mut response.body).await {
            None => Ok(()),
            Some(Err(error)) => Err(error),
            Some(Ok(frame)) => {
                match frame.into_data() {
                    Ok(data) => text.extend_from_slice(&data),
                    Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
                }
                continue;
            }
        };
        return (String::from_utf8(text).unwrap(), trailers, ended);
    }
}

fn answer(handler: &Arc<dyn Handler>, request: HandlerRequest) -> (StatusCode, HeaderMap, String) {
    worker(async {
        let response = handler.handle(request).await.unwrap();
        let (status, headers) = (response.status, response.headers.clone());
        let (text, _, ended) = read(response).await;
        ended.unwrap();
        (status, headers, text)
    })
}

fn reason(error: HandlerError) -> FailureReason {
    match error {
        HandlerError::Failed(error) => {
            assert!(error.filter.starts_with("handler/test/"), "{error}");
            error.reason
        }
        HandlerError::RequestBody(error) => panic!("the request's body is in order: {error}"),
    }
}

fn failure(handler: &Arc<dyn Handler>, path: &'static str) -> FailureReason {
    reason(worker(handler.handle(request(path))).unwrap_err())
}

#[test]
fn a_handler_sees_the_request_and_gives_the_answer() {
    let hello = handler("wasi_hello");
    let mut asked = sending("/status/418", [data(b"one "), data(b"two")]);
    asked.headers.insert("x-in", "1".parse().unwrap());
    let (status, headers, text) = answer(&hello, asked);
    assert_eq!(status, 418);
    let field = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(
        (
            field("x-method"),
            field("x-path"),
            field("x-authority"),
            field("x-headers")
        ),
        (
            "POST".into(),
            "/status/418".into(),
            "a.example:8080".into(),
            "1".into()
        )
    );
    assert_eq!(text, "POST /status/418\none two");
}

#[test]
fn trailers_come_after_the_body() {
    let hello = handler("wasi_hello");
    worker(async {
        let response = hello
            .handle(sending("/trailers", [data(b"12345")]))
            .await
            .unwrap();
        let (_, trailers, ended) = read(response).await;
        ended.unwrap();
        assert_eq!(trailers["x-bytes"], "5");
    });
}

#[test]
fn a_body_passes_piece_by_piece_while_the_client_still_sends() {
    let hello = handler("wasi_hello");
    worker(async {
        let mut response = hello.handle(sending("/", [data(b"first"), None])).await.unwrap();
        let mut text = Vec::new();
        while !text.ends_with(b"first") {
            text.extend_from_slice(
                &next(&mut response.body)
                    .await
                    .unwrap()
                    .unwrap()
                    .into_data()
                    .unwrap(),
            );
        }
        let more = poll_fn(|cx| Poll::Ready(response.body.poll_frame(cx))).await;
        assert!(more.is_pending(), "the client has not sent the rest");
    });
}

#[test]
fn a_guest_goes_no_faster_than_its_reader() {
    let probe = handler("wasi_probe");
    worker(async {
        let mut response = probe.handle(request("/endless")).await.unwrap();
        for _ in 0..1000 {
            let frame = next(&mut response.body).await.unwrap().unwrap();
            assert!(frame.into_data().unwrap().len() <= 64 << 10);
        }
        drop(response);
        assert_eq!(
            probe.handle(request("/early")).await.unwrap().status,
            200,
            "one that was given up harms no other"
        );
    });
}

#[test]
fn a_body_is_read_only_as_the_guest_wants_it() {
    let probe = handler("wasi_probe");
    let asked = Arc::<AtomicUsize>::default();
    let body = Pieces {
        frames: (0..1000).map(|_| data(b"piece")).collect(),
        asked: Arc::clone(&asked),
    };
    let early = HandlerRequest {
        body: Some(Box::pin(body)),
        ..request("/early")
    };
    assert_eq!(answer(&probe, early).2, "early");
    assert!(asked.load(Ordering::Relaxed) <= 2, "{asked:?}");
}

#[test]
fn a_client_that_breaks_off_ends_the_guest() {
    let hello = handler("wasi_hello");
    worker(async {
        let broken: BodyError = "gone".into();
        let asked = sending("/", [data(b"part"), Some(Err(broken))]);
        let ended = match hello.handle(asked).await {
            Ok(response) => read(response).await.2.unwrap_err(),
            Err(error) => error,
        };
        assert!(matches!(ended, HandlerError::RequestBody(_)), "{ended}");
    });
}

#[test]
fn a_failure_before_the_head_has_its_reason() {
    let hello = handler("wasi_hello");
    assert_eq!(failure(&hello, "/panic"), FailureReason::Trap);
    assert_eq!(failure(&hello, "/error"), FailureReason::NoReply);
    assert_eq!(failure(&handler("wasi_probe"), "/memory"), FailureReason::Memory);
}

#[test]
fn a_failure_after_the_head_breaks_the_body_off() {
    let check = |name: &str, path: &'static str, expect: (&str, FailureReason)| {
        let handler = handler(name);
        worker(async {
            let response = handler.handle(request(path)).await.unwrap();
            let (text, _, ended) = read(response).await;
            assert_eq!((text.as_str(), reason(ended.unwrap_err())), expect);
        });
    };
    check("wasi_hello", "/cut", ("four", FailureReason::Trap));
    check("wasi_probe", "/leak", ("leaked", FailureReason::NoReply));
}

#[test]
fn an_endless_loop_ends_at_its_deadline_and_lets_others_run() {
    let spinning = handler_with(&runtime(), "wasi_hello", |it| {
        it.limits.deadline = Duration::from_millis(200);
    })
    .unwrap();
    worker(async {
        let (mut turns, mut call) = (0, spinning.handle(request("/spin")));
        let error = poll_fn(|cx| {
            turns += 1;
            call.as_mut().poll(cx)
        })
        .await
        .unwrap_err();
        assert_eq!(reason(error), FailureReason::Deadline);
        assert!(turns > 20, "others had {turns} turns");
    });
}

#[test]
fn waiting_costs_no_deadline_but_ends_at_the_timeout() {
    let waiting = handler_with(&runtime(), "wasi_probe", |it| {
        it.limits.timeout = Duration::from_millis(100);
    })
    .unwrap();
    let since = Instant::now();
    assert_eq!(failure(&waiting, "/wait"), FailureReason::Timeout);
    assert!(since.elapsed() >= Duration::from_millis(100));
}

#[test]
fn no_more_run_at_once_than_the_limit_allows() {
    let few = handler_with(&runtime(), "wasi_probe", |it| it.limits.instances = 2).unwrap();
    worker(async {
        let first = few.handle(request("/endless")).await.unwrap();
        let _second = few.handle(request("/endless")).await.unwrap();
        let third = few.handle(request("/endless")).await.unwrap_err();
        assert_eq!(reason(third), FailureReason::Exhausted);
        drop(first);
        assert_eq!(few.handle(request("/early")).await.unwrap().status, 200);
    });
}

#[test]
fn requests_that_fail_delay_no_others() {
    let hello = handler("wasi_hello");
    for _ in 0..8 {
        assert_eq!(failure(&hello, "/panic"), FailureReason::Trap);
    }
    assert_eq!(answer(&hello, request("/")).0, 200);
}

/// Lines of the target `plugin`, with their level.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        if event.metadata().target() == "plugin" {
            let mut line = event.metadata().level().to_string();
            event.record(
                &mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                    line += &format!(" {field}={value:?}");
                },
            );
            self.0.lock().unwrap().push(line);
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// What the log says after a request for `/stdout` with so many lines per second.
fn logged(lines: u32) -> Vec<String> {
    let talking = handler_with(&runtime(), "wasi_hello", |it| it.limits.log_lines = lines).unwrap();
    let log = Lines::default();
    tracing::subscriber::with_default(log.clone(), || {
        assert_eq!(answer(&talking, request("/stdout")).0, 200);
    });
    let lines = log.0.lock().unwrap();
    lines.clone()
}

#[test]
fn what_a_guest_prints_is_in_the_log_within_its_limit() {
    let line = |level, text| {
        format!("{level} message={text} plugin=\"test/wasi_hello\" filter=\"handler/test/wasi_hello\"")
    };
    let expect = [
        line("INFO", "a line to standard output"),
        line("WARN", "a line to standard error"),
    ];
    assert_eq!(logged(100), expect);
    assert_eq!(logged(1).len(), 1);
}

#[test]
fn work_after_the_answer_is_the_rest() {
    let probe = handler("wasi_probe");
    worker(async {
        let mut response = probe.handle(request("/after")).await.unwrap();
        let frame = next(&mut response.body).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "done");
        if let Some(rest) = response.body.rest() {
            rest.await.unwrap();
        }
    });
}

#[test]
fn nothing_of_the_system_is_within_reach_but_granted_variables() {
    let zone = Capability::Environment(Some("ZONE".to_owned()));
    let probe = handler_with(&runtime(), "wasi_probe", |it| it.capabilities = vec![zone]).unwrap();
    let (_, _, text) = answer(&probe, request("/reach"));
    assert_eq!(
        text,
        "files=false\nsockets=PermissionDenied\nnames=false\narguments=0\nvariables=ZONE=b\n"
    );
}

/// Backends that remember what they were asked.
#[derive(Debug, Default)]
struct Backends(Mutex<Vec<(String, CalloutRequest)>>);

impl Callouts for Backends {
    fn fetch(&self, cluster: &str, request: CalloutRequest) -> FetchFuture {
        let broken = request.body == "break";
        self.0.lock().unwrap().push((cluster.to_owned(), request));
        Box::pin(async move {
            tokio::task::yield_now().await;
            if broken {
                return Err(CalloutError::Reset);
            }
            Ok(CalloutResponse {
                status: StatusCode::CREATED,
                headers: HeaderMap::new(),
                body: Bytes::from_static(b"inner"),
                trailers: HeaderMap::new(),
            })
        })
    }

    fn stream(&self, _: &str, _: CalloutRequest) -> CalloutStream {
        unreachable!("handlers open no streams here")
    }
}

/// What `/fetch` to this host with this body shows, and what the backends were asked.
fn fetched(
    to: &'static str,
    body: &'static [u8],
    capabilities: Vec<Capability>,
    callouts: u32,
) -> (HeaderMap, String, Vec<(String, CalloutRequest)>) {
    let backend = GrantedBackend {
        name: "auth".to_owned(),
        cluster: "Service/default/auth/80".to_owned(),
    };
    let probe = handler_with(&runtime(), "wasi_probe", |it| {
        it.capabilities = capabilities;
        it.backends = vec![backend];
        it.limits.callouts = callouts;
    })
    .unwrap();
    let backends = Arc::<Backends>::default();
    let mut asked = sending("/fetch", [data(body)]);
    asked.headers.insert("x-to", to.parse().unwrap());
    asked.callouts = Some(backends.clone());
    let (_, headers, text) = answer(&probe, asked);
    let seen = backends.0.lock().unwrap().clone();
    (headers, text, seen)
}

#[test]
fn requests_go_to_granted_backends_by_the_gateways_clusters() {
    let (headers, text, seen) = fetched("auth:80", b"sent", vec![Capability::Upstream], 1);
    assert_eq!(
        (headers["x-status"].to_str().unwrap(), text.as_str()),
        ("201", "inner")
    );
    let (cluster, request) = &seen[0];
    assert_eq!(
        (
            cluster.as_str(),
            request.authority.as_str(),
            request.path.as_str(),
            &request.method
        ),
        ("Service/default/auth/80", "auth:80", "/inner", &Method::POST)
    );
    assert_eq!(request.body, "sent");
}

#[test]
fn any_other_request_is_denied_and_opens_no_connection() {
    let check = |to, body, capabilities, callouts, expect: &str| {
        let (headers, _, seen) = fetched(to, body, capabilities, callouts);
        let error = headers["x-error"].to_str().unwrap();
        assert!(error.contains(expect), "{to}: {error}");
        seen.len()
    };
    let upstream = || vec![Capability::Upstream];
    assert_eq!(check("127.0.0.1:80", b"", upstream(), 9, "HttpRequestDenied"), 0);
    assert_eq!(check("auth.example", b"", upstream(), 9, "HttpRequestDenied"), 0);
    assert_eq!(check("auth", b"", Vec::new(), 9, "HttpRequestDenied"), 0);
    assert_eq!(check("auth", b"", upstream(), 0, "ConnectionLimitReached"), 0);
    assert_eq!(
        check("auth", b"break", upstream(), 9, "HttpResponseIncomplete"),
        1
    );
}

#[test]
fn a_plugin_stands_only_where_its_kind_belongs() {
    let runtime = runtime();
    let error = granted(&runtime, "wasi_hello", "", &[]).unwrap_err();
    assert!(matches!(error, LoadError::Handler { .. }), "{error}");
    let error = load(&runtime, "headers").handler(&chain_filter("")).unwrap_err();
    assert!(matches!(error, LoadError::NotAHandler { .. }), "{error}");
    let error = load(&runtime, "wasi_hello")
        .handler(&chain_filter("{}"))
        .unwrap_err();
    assert!(matches!(error, LoadError::Refused { .. }), "{error}");
}

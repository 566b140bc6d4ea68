//! Handlers in place of upstreams.

use std::collections::HashSet;
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Frame;
use weir_filter::{
    Action, BodyPlan, FailureReason, FilterError, Handler, HandlerBody, HandlerError, HandlerFuture,
    HandlerRequest, HandlerResponse, HandlerRest, Reason, RequestBody,
};
use weir_harness::{Client, Origin, eventually};

use crate::support::{Native, Proxy, Setup};

/// A handler made of a closure.
struct Local<F>(F);

impl<F> fmt::Debug for Local<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Local")
    }
}

impl<F: Fn(HandlerRequest) -> HandlerFuture + Send + Sync> Handler for Local<F> {
    fn name(&self) -> &str {
        "handler/test/local"
    }

    fn handle(&self, request: HandlerRequest) -> HandlerFuture {
        self.0(request)
    }
}

fn local<F: Fn(HandlerRequest) -> HandlerFuture + Send + Sync>(handle: F) -> Local<F> {
    Local(handle)
}

/// Frames one by one; counts when it is dropped and whether its rest was done.
#[derive(Default)]
struct Scripted {
    frames: Vec<Result<Frame<Bytes>, HandlerError>>,
    /// After the frames nothing comes, not even the end.
    stays: bool,
    rest: Option<Arc<AtomicUsize>>,
    _dropped: Option<Dropped>,
}

impl HandlerBody for Scripted {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HandlerError>>> {
        if self.frames.is_empty() {
            return match self.stays {
                true => Poll::Pending,
                false => Poll::Ready(None),
            };
        }
        Poll::Ready(Some(self.frames.remove(0)))
    }

    fn rest(mut self: Box<Self>) -> Option<HandlerRest> {
        let rest = self.rest.take()?;
        Some(Box::pin(async move {
            rest.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }))
    }
}

/// Counts when it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn data(bytes: &'static str) -> Result<Frame<Bytes>, HandlerError> {
    Ok(Frame::data(Bytes::from_static(bytes.as_bytes())))
}

fn failed() -> HandlerError {
    HandlerError::Failed(FilterError {
        filter: "handler/test/local".to_owned(),
        reason: FailureReason::Trap,
        message: "for the test".to_owned(),
    })
}

fn with(fields: &[(&'static str, &'static str)], body: Scripted) -> Result<HandlerResponse, HandlerError> {
    let fields = fields
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
    Ok(HandlerResponse {
        status: StatusCode::OK,
        headers: fields.collect::<HeaderMap>(),
        body: Box::new(body),
    })
}

fn of(frames: Vec<Result<Frame<Bytes>, HandlerError>>) -> Scripted {
    Scripted {
        frames,
        ..Scripted::default()
    }
}

async fn read(mut body: RequestBody) -> (String, HeaderMap) {
    let (mut text, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        match frame.unwrap().into_data() {
            Ok(data) => text.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    (String::from_utf8(text).unwrap(), trailers)
}

/// Answers with what it was asked.
fn echo() -> impl Handler {
    local(|request| {
        Box::pin(async move {
            let mut text = format!("{} {} {}\n", request.method, request.path, request.authority);
            for (name, value) in &request.headers {
                text += &format!("{name}: {}\n", value.to_str().unwrap());
            }
            let mut frames = Vec::new();
            if let Some(body) = request.body {
                let (body, trailers) = read(body).await;
                text += &body;
                frames.push(Ok(Frame::trailers(trailers)));
            }
            frames.insert(0, Ok(Frame::data(text.into())));
            let fields = [("connection", "x-own"), ("x-own", "1"), ("trailer", "x-t")];
            with(&fields, of(frames))
        })
    })
}

/// One route for everything, answered here.
fn to(handler: impl Handler + 'static) -> Setup {
    Setup::new().route("/", &[]).handled(handler, 1)
}

/// Answers every request like this.
fn always(
    fields: &'static [(&'static str, &'static str)],
    body: impl Fn() -> Scripted + Send + Sync + 'static,
) -> Setup {
    to(local(move |_| {
        let answer = with(fields, body());
        Box::pin(async move { answer })
    }))
}

#[test]
fn a_handler_sees_what_an_upstream_would_see() {
    let proxy = Proxy::start(to(echo()));
    let answer = proxy
        .client()
        .post("/x?y", "x-in: 1\r\nconnection: x-gone\r\nx-gone: 1\r\n", "body");
    let text = answer.text();
    assert!(text.starts_with("POST /x?y test.example\n"), "{text}");
    assert!(text.ends_with("\nbody"), "{text}");
    for field in [
        "x-in: 1",
        "content-length: 4",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
    ] {
        assert!(text.contains(&format!("\n{field}\n")), "{field}: {text}");
    }
    assert!(!text.contains("x-gone") && !text.contains("host:"), "{text}");
    assert_eq!(
        answer.header("x-own"),
        None,
        "what belongs to a connection is not passed on"
    );
}

#[test]
fn trailers_pass_in_both_directions() {
    let proxy = Proxy::start(to(echo()));
    let answer = proxy.client().exchange(
        "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n\
         2\r\nhi\r\n0\r\nx-t: 1\r\n\r\n",
    );
    assert!(answer.text().ends_with("\nhi"), "{}", answer.text());
    assert_eq!(answer.trailers, [("x-t".to_owned(), "1".to_owned())]);
}

#[test]
fn the_chain_runs_around_a_handler_and_names_it() {
    let names = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&names);
    let filter = Native {
        request_head: Some(Box::new(|it| {
            it.request.headers.insert("x-mark", HeaderValue::from_static("1"));
            Ok(Action::Body(BodyPlan::Chunks))
        })),
        request_body: Some(Box::new(|it, bytes, _| {
            it.stage_body(bytes.to_ascii_uppercase().into());
            Ok(Action::Next)
        })),
        response_head: Some(Box::new(|it| {
            it.response
                .headers
                .insert("x-back", HeaderValue::from_static("1"));
            Ok(Action::Next)
        })),
        log: Some(Box::new(move |it| {
            let name = it.facts.upstream_cluster.as_deref().unwrap_or_default();
            seen.lock().unwrap().push(name.to_owned());
        })),
        ..Native::default()
    };
    let proxy = Proxy::start(to(echo()).filter(filter));
    let answer = proxy.client().post("/", "", "body");
    assert_eq!(answer.header("x-back"), Some("1"));
    assert!(answer.text().contains("x-mark: 1"), "{}", answer.text());
    assert!(answer.text().ends_with("BODY"), "{}", answer.text());
    let name = eventually("a log phase", || names.lock().unwrap().first().cloned());
    assert_eq!(name, "handler/test/local");
}

#[test]
fn weights_mix_handlers_and_clusters() {
    let origin = Origin::echo("origin");
    let setup = Setup::new()
        .route("/", &[(Some(&[origin.address]), 1)])
        .handled(echo(), 1);
    let proxy = Proxy::start(setup);
    let mut client = proxy.client();
    let answers: HashSet<bool> = (0..64)
        .map(|_| client.get("/", "").text().starts_with("origin"))
        .collect();
    assert_eq!(answers.len(), 2, "both answer");
    let none = Setup::new().route("/", &[]).handled(echo(), 0);
    assert_eq!(Proxy::start(none).client().get("/", "").status(), 500);
}

#[test]
fn a_handler_that_fails_before_its_head_is_answered_with_500_and_its_reason() {
    let reasons = Arc::<Mutex<Vec<Option<Reason>>>>::default();
    let seen = Arc::clone(&reasons);
    let logging = Native {
        log: Some(Box::new(move |it| seen.lock().unwrap().push(it.facts.reason))),
        ..Native::default()
    };
    let failing = to(local(|_| Box::pin(async { Err(failed()) })));
    let proxy = Proxy::start(failing.filter(logging));
    assert_eq!(proxy.client().get("/", "").status(), 500);
    let reason = eventually("a log phase", || reasons.lock().unwrap().first().copied());
    assert_eq!(reason, Some(Reason::Filter(FailureReason::Trap)));
}

/// What a client reads of an answer that must not look whole.
fn broken(setup: Setup) {
    let proxy = Proxy::start(setup);
    let mut client = proxy.client();
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert!(client.read(false).is_err(), "it must break off");
}

#[test]
fn an_answer_that_is_not_what_was_promised_breaks_off() {
    broken(always(&[], || of(vec![data("four"), Err(failed())])));
    broken(always(&[("content-length", "10")], || of(vec![data("four")])));
    broken(always(&[("content-length", "10")], || of(Vec::new())));
    broken(always(&[("content-length", "3")], || of(vec![data("four")])));
}

#[test]
fn answers_without_a_body_keep_the_connection() {
    let proxy = Proxy::start(always(&[("content-length", "4")], || of(vec![data("four")])));
    let mut client = proxy.client();
    let head = client.exchange("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(head.header("content-length"), Some("4"));
    assert_eq!(client.get("/", "").text(), "four");
}

#[test]
fn the_rest_is_done_after_a_whole_answer_whatever_its_framing() {
    for fields in [&[][..], &[("content-length", "4")]] {
        let rest = Arc::<AtomicUsize>::default();
        let done = Arc::clone(&rest);
        let body = move || Scripted {
            frames: vec![data("four")],
            rest: Some(Arc::clone(&done)),
            ..Scripted::default()
        };
        let proxy = Proxy::start(always(fields, body));
        assert_eq!(proxy.client().get("/", "").text(), "four");
        eventually("the rest", || (rest.load(Ordering::SeqCst) == 1).then_some(()));
    }
}

#[test]
fn a_client_that_leaves_ends_the_handler() {
    let (rest, dropped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (done, gone) = (Arc::clone(&rest), Arc::clone(&dropped));
    let body = move || Scripted {
        frames: vec![data("start")],
        stays: true,
        rest: Some(Arc::clone(&done)),
        _dropped: Some(Dropped(Arc::clone(&gone))),
    };
    let proxy = Proxy::start(always(&[], body));
    let mut client: Client = proxy.client();
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    client.read_until("start");
    drop(client);
    eventually("the end of the handler", || {
        (dropped.load(Ordering::SeqCst) == 1).then_some(())
    });
    assert_eq!(
        rest.load(Ordering::SeqCst),
        0,
        "nothing goes on without the client"
    );
}

#[test]
fn a_filter_may_end_the_exchange_while_the_body_passes() {
    let filter = Native {
        request_head: Some(Box::new(|_| Ok(Action::Body(BodyPlan::Chunks)))),
        request_body: Some(Box::new(|it, _, _| {
            it.stage_reply(weir_filter::Reply::new(StatusCode::FORBIDDEN));
            Ok(Action::Reply)
        })),
        ..Native::default()
    };
    let reading = local(|request| {
        Box::pin(async move {
            let mut body = request.body.unwrap();
            match poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
                Some(Err(error)) => Err(HandlerError::RequestBody(error)),
                _ => with(&[], of(Vec::new())),
            }
        })
    });
    let proxy = Proxy::start(to(reading).filter(filter));
    assert_eq!(proxy.client().post("/", "", "body").status(), 403);
}

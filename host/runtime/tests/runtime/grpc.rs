//! gRPC to backends, as the guest `grpc_probe` makes it, against a double of the proxy.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::sync::mpsc::error::TryRecvError;
use weir_filter::{CalloutError, Chain, Exchange, FailureReason, Filter, HeadOutcome, Run, StreamEvent};
use weir_model::{Capability, ChainFilter, Limits, Plugin};
use weir_runtime::{EngineConfig, Runtime};

use crate::harness::{
    Backend, Calls as _, Far, LIMITS, backends, closed_chain, custom, drive_until, exchange_with, measured,
    runtime, series, values, worker,
};

fn probe(config: &str, limits: Limits) -> Arc<dyn Filter> {
    probe_of(&runtime(), config, limits)
}

fn probe_of(runtime: &Runtime, config: &str, limits: Limits) -> Arc<dyn Filter> {
    let change = |plugin: &mut Plugin, filter: &mut ChainFilter| {
        plugin.capabilities = vec![Capability::Upstream];
        filter.backends = backends();
        filter.limits = limits;
    };
    custom(runtime, "grpc_probe", config, change).1
}

const CALL: &str = "backend=echo service=test.Echo method=Say";

fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in pairs {
        fields.append(*name, value.parse().unwrap());
    }
    fields
}

fn head(pairs: &[(&'static str, &'static str)]) -> StreamEvent {
    StreamEvent::Head(StatusCode::OK, fields(pairs))
}

fn end(pairs: &[(&'static str, &'static str)]) -> StreamEvent {
    StreamEvent::Trailers(fields(pairs))
}

fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat()
}

fn data(bytes: Vec<u8>) -> StreamEvent {
    StreamEvent::Data(Bytes::from(bytes))
}

/// The field `x-grpc-…` of a unary call that gets these events; empty without.
fn unary(words: &'static str, events: Vec<StreamEvent>) -> (impl Fn(&str) -> String, Arc<Backend>) {
    let backend = Backend::streaming(events);
    let mut exchange = exchange_with(&backend, &[("x-grpc", words)]);
    let probe = probe(CALL, LIMITS);
    probe.on_request_head(&mut exchange).unwrap();
    let shown = move |name: &str| values(&exchange.request.headers, &format!("x-grpc-{name}")).join("|");
    (shown, backend)
}

#[test]
fn a_message_goes_and_one_comes_back() {
    let (shown, backend) = unary(
        "message=0a0161 metadata=x-a:1 metadata=grpc-timeout:9H timeout=70",
        vec![
            head(&[("x-meta", "m")]),
            data(frame(b"\x01\x02")),
            end(&[("grpc-status", "0"), ("x-end", "e")]),
        ],
    );
    assert_eq!(shown("error"), "");
    assert_eq!(
        (shown("code"), shown("message")),
        ("0".to_owned(), "0102".to_owned())
    );
    assert_eq!(shown("metadata"), "x-meta=m");
    assert_eq!(shown("trailers"), "grpc-status=0;x-end=e");
    let (cluster, request) = backend.asked().remove(0);
    assert_eq!((cluster.as_str(), request.path.as_str()), ("c", "/test.Echo/Say"));
    assert_eq!(request.body, frame(b"\x0a\x01a"));
    let sent = [
        ("x-a", "1"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "70m"),
    ];
    assert_eq!(request.headers, fields(&sent));
}

#[test]
fn a_message_is_put_together_wherever_it_was_cut() {
    let whole = frame(b"\x01\x02\x03");
    for at in 1..whole.len() {
        let (first, second) = whole.split_at(at);
        let events = vec![
            head(&[]),
            data(first.to_vec()),
            data(second.to_vec()),
            end(&[("grpc-status", "0")]),
        ];
        assert_eq!(unary("message=00", events).0("message"), "010203", "{at}");
    }
}

#[test]
fn a_status_tells_how_a_call_ended() {
    let message = data(frame(b"\x01"));
    let http = |status| StreamEvent::Head(StatusCode::from_u16(status).unwrap(), HeaderMap::new());
    let denied = [("grpc-status", "7"), ("grpc-message", "not%20you")];
    for (events, code, text) in [
        (vec![head(&[]), message, end(&denied)], "7", "not you"),
        (vec![head(&denied)], "7", "not you"),
        (vec![http(503)], "14", "the backend answered with HTTP status 503"),
        (
            vec![http(302), data(b"html".to_vec())],
            "2",
            "the backend answered with HTTP status 302",
        ),
        (
            vec![head(&[]), end(&[])],
            "2",
            "the backend ended the stream without a status",
        ),
        (vec![head(&[]), end(&[("grpc-status", "x")])], "2", ""),
    ] {
        let (shown, _) = unary("message=00", events);
        assert_eq!((shown("error"), shown("message")), (String::new(), String::new()));
        assert_eq!((shown("code").as_str(), shown("status").as_str()), (code, text));
    }
}

#[test]
fn what_breaks_the_protocol_is_an_error() {
    let ok = || end(&[("grpc-status", "0")]);
    let two = [frame(b"1"), frame(b"2")].concat();
    for (what, events, error) in [
        (
            "compressed",
            vec![head(&[]), data(vec![1, 0, 0, 0, 1, 0]), ok()],
            "unary:reset",
        ),
        (
            "unknown flag",
            vec![head(&[]), data(vec![9, 0, 0, 0, 1, 0]), ok()],
            "unary:reset",
        ),
        (
            "cut",
            vec![head(&[]), data(frame(b"abc")[..6].to_vec()), ok()],
            "unary:reset",
        ),
        ("two messages", vec![head(&[]), data(two), ok()], "unary:reset"),
        ("OK without a message", vec![head(&[]), ok()], "unary:reset"),
        (
            "too large",
            vec![head(&[]), data(vec![0, 0, 0, 0, 11]), ok()],
            "unary:too-large",
        ),
        (
            "connect",
            vec![StreamEvent::Failed(CalloutError::Connect)],
            "unary:connect",
        ),
        (
            "reset",
            vec![head(&[]), StreamEvent::Failed(CalloutError::Reset)],
            "unary:reset",
        ),
    ] {
        let (shown, _) = unary("message=00 max=10", events);
        assert_eq!(shown("error"), error, "{what}");
    }
}

#[test]
fn a_call_that_cannot_be_is_not_sent() {
    for (words, error) in [
        ("backend=other", "unary:not-granted"),
        ("backend=dead", "unary:connect"),
        ("service=a/b", "unary:invalid"),
        ("method=a?b", "unary:invalid"),
        ("service=", "unary:invalid"),
        ("metadata=:path:/x", "unary:invalid"),
        ("metadata=(:x", "unary:invalid"),
    ] {
        let (shown, backend) = unary(words, Vec::new());
        assert_eq!(shown("error"), error, "{words}");
        assert!(backend.asked().is_empty(), "{words}");
    }
}

#[test]
fn a_call_without_an_answer_ends_with_its_time() {
    let (shown, backend) = unary("message=00 timeout=10", Vec::new());
    assert_eq!(shown("error"), "unary:timeout");
    assert!(backend.stream().events.is_closed(), "the stream is reset");
}

/// An exchange whose request head has run.
fn opened(chain: &Chain, exchange: Exchange) -> Run {
    let mut run = chain.start(exchange);
    worker(async {
        let outcome = poll_fn(|cx| chain.poll_request_head(&mut run, cx)).await;
        assert!(matches!(outcome, HeadOutcome::Done), "{outcome:?}");
    });
    run
}

fn answered(chain: &Chain, run: &mut Run) {
    worker(async {
        let outcome = poll_fn(|cx| chain.poll_response_head(run, cx)).await;
        assert!(matches!(outcome, HeadOutcome::Done), "{outcome:?}");
    });
}

#[test]
fn a_stream_lives_from_one_phase_to_another() {
    let chain = closed_chain([probe(&format!("{CALL} stream message=0a"), LIMITS)]);
    let backend = Backend::streaming([]);
    let mut run = opened(&chain, exchange_with(&backend, &[]));
    assert_eq!(run.exchange().request.headers["x-grpc-stream"], "0");
    let mut far = backend.stream();
    assert_eq!(far.sent.try_recv().unwrap(), frame(b"\x0a"));
    for event in [head(&[]), data(frame(b"\x01")), end(&[("grpc-status", "0")])] {
        far.events.try_send(event).unwrap();
    }
    answered(&chain, &mut run);
    let headers = &run.exchange().response.headers;
    assert_eq!(
        (&headers["x-grpc-messages"], &headers["x-grpc-code"]),
        (&"01".parse().unwrap(), &"0".parse().unwrap())
    );
    assert_eq!(
        far.sent.try_recv(),
        Err(TryRecvError::Disconnected),
        "it was finished"
    );
}

#[test]
fn streams_are_counted_when_they_are_opened_or_refused() {
    let (runtime, registry) = measured(EngineConfig::small());
    let refused = CALL.replace("backend=echo", "backend=other");
    let chain = |call: &str| closed_chain([probe_of(&runtime, &format!("{call} stream hold"), LIMITS)]);
    let chains = [chain(CALL), chain(&refused)];
    for chain in &chains {
        opened(chain, exchange_with(&Backend::streaming([]), &[]));
    }
    for result in ["ok", "not_granted"] {
        let callouts = format!(r#"weir_plugin_callouts_total{{plugin="test/grpc_probe",result="{result}"}}"#);
        assert_eq!(series(&registry, &callouts), 1.0, "{result}");
    }
}

#[test]
fn a_stream_ends_when_it_is_cancelled() {
    let chain = closed_chain([probe(&format!("{CALL} stream cancel"), LIMITS)]);
    let backend = Backend::streaming([]);
    let mut run = opened(&chain, exchange_with(&backend, &[]));
    let far = backend.stream();
    assert!(!far.events.is_closed());
    answered(&chain, &mut run);
    assert!(far.events.is_closed());
}

#[test]
fn a_stream_ends_with_its_exchange() {
    let chain = closed_chain([probe(&format!("{CALL} stream hold messages=0"), LIMITS)]);
    let backend = Backend::streaming([]);
    let mut run = opened(&chain, exchange_with(&backend, &[]));
    answered(&chain, &mut run);
    let far = backend.stream();
    assert!(!far.events.is_closed());
    drop(run);
    assert!(far.events.is_closed());
}

#[test]
fn streams_of_two_filters_are_not_mixed_up() {
    let words = format!("{CALL} stream message=");
    let chain = closed_chain([
        probe(&(words.clone() + "01"), LIMITS),
        probe(&(words + "02"), LIMITS),
    ]);
    let backend = Backend::streaming([]);
    let mut run = opened(&chain, exchange_with(&backend, &[]));
    let (mut second, mut first) = (backend.stream(), backend.stream());
    assert_eq!(first.sent.try_recv().unwrap(), frame(b"\x01"));
    assert_eq!(second.sent.try_recv().unwrap(), frame(b"\x02"));
    for (far, message) in [(&first, b"\x0a"), (&second, b"\x0b")] {
        for event in [head(&[]), data(frame(message)), end(&[("grpc-status", "0")])] {
            far.events.try_send(event).unwrap();
        }
    }
    let polled = worker(async {
        // The second filter runs first, and the first overwrites what it shows.
        poll_fn(|cx| chain.poll_response_head(&mut run, cx)).await
    });
    assert!(matches!(polled, HeadOutcome::Done));
    assert_eq!(
        values(&run.exchange().response.headers, "x-grpc-messages"),
        ["0a"]
    );
}

#[test]
fn a_stream_of_another_filter_is_out_of_reach() {
    let runtime = runtime();
    let change = |plugin: &mut Plugin, filter: &mut ChainFilter| {
        plugin.capabilities = ["upstream", "kv", "metrics", "log", "random", "sink:/a"]
            .map(|it| it.parse::<Capability>().unwrap())
            .to_vec();
        filter.backends = backends();
    };
    let (_, thief) = custom(&runtime, "hostile_calls", "backend=echo", change);
    let chain = closed_chain([probe(&format!("{CALL} stream message=01"), LIMITS), thief]);
    let backend = Backend::streaming([]);
    // It sends, receives, finishes and cancels by number, the other's among them.
    let attack = [("x-attack", "stream-unopened")];
    let mut run = opened(&chain, exchange_with(&backend, &attack));
    let seen = &run.exchange().request.headers["x-attack-result"];
    assert_eq!(seen, "invalid,invalid invalid,invalid invalid,invalid");
    let mut far = backend.stream();
    assert_eq!(far.sent.try_recv().unwrap(), frame(b"\x01"));
    assert_eq!(
        far.sent.try_recv(),
        Err(TryRecvError::Empty),
        "it is as its own filter left it"
    );
    assert!(!far.events.is_closed());
    answered_with(&chain, &mut run, &far);
}

/// Answers the stream, and expects the filter to see it.
fn answered_with(chain: &Chain, run: &mut Run, far: &Far) {
    for event in [head(&[]), data(frame(b"\x0a")), end(&[("grpc-status", "0")])] {
        far.events.try_send(event).unwrap();
    }
    answered(chain, run);
    assert_eq!(run.exchange().response.headers["x-grpc-messages"], "0a");
}

#[test]
fn sending_waits_for_room() {
    let chain = closed_chain([probe(&format!("{CALL} stream messages=3 message=01"), LIMITS)]);
    let backend = Backend::streaming([]);
    worker(async {
        let mut run = chain.start(exchange_with(&backend, &[]));
        drive_until(&chain, &mut run, || backend.was_asked()).await;
        let mut far = backend.stream();
        drive_until(&chain, &mut run, || far.sent.len() == 1).await;
        far.sent.try_recv().unwrap();
        // The second is sent, the third waits.
        drive_until(&chain, &mut run, || far.sent.len() == 1).await;
        far.sent.try_recv().unwrap();
        let outcome = poll_fn(|cx| chain.poll_request_head(&mut run, cx)).await;
        assert!(matches!(outcome, HeadOutcome::Done));
        assert_eq!(far.sent.len(), 1, "the third message");
    });
}

#[test]
fn waiting_for_room_has_an_end() {
    let probe = probe(&format!("{CALL} stream messages=3 message=01 timeout=10"), LIMITS);
    let backend = Backend::streaming([]);
    let mut exchange = exchange_with(&backend, &[]);
    probe.on_request_head(&mut exchange).unwrap();
    assert_eq!(exchange.request.headers["x-grpc-error"], "send:timeout");
}

#[test]
fn sending_into_a_stream_that_broke_is_an_error() {
    let filter = probe(&format!("{CALL} stream messages=2 message=01"), LIMITS);
    let backend = Backend::streaming([]);
    worker(async {
        let chain = closed_chain([filter]);
        let mut run = chain.start(exchange_with(&backend, &[]));
        drive_until(&chain, &mut run, || backend.was_asked()).await;
        drop(backend.stream());
        poll_fn(|cx| chain.poll_request_head(&mut run, cx)).await;
        assert_eq!(run.exchange().request.headers["x-grpc-error"], "send:reset");
    });
}

#[test]
fn a_message_larger_than_the_memory_limit_is_not_taken() {
    let limits = Limits {
        memory: 4 << 20,
        body: 64 << 20,
        ..LIMITS
    };
    let probe = probe(CALL, limits);
    let large = data(frame(&vec![0; 5 << 20]));
    let backend = Backend::streaming([head(&[]), large, end(&[("grpc-status", "0")])]);
    let mut exchange = exchange_with(&backend, &[("x-grpc", "message=00")]);
    let error = probe.on_request_head(&mut exchange).unwrap_err();
    assert_eq!(error.reason, FailureReason::Memory);
}

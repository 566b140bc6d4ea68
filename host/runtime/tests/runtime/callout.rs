//! Callouts to backends, as the guest `fetch` makes them, against a double of the proxy.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use weir_filter::{Action, CalloutError, CalloutResponse, Chunk, FailureReason, Filter, Phase};
use weir_model::{Capability, ChainFilter, Limits, Plugin};
use weir_runtime::{EngineConfig, Runtime};

use crate::harness::{
    Answer, Backend, Calls as _, LIMITS, TextPolicy, backends, chain_filter, custom, exchange, exchange_with,
    guest, measured, plain, plugin, runtime, series, values,
};

fn grant(plugin: &mut Plugin, filter: &mut ChainFilter) {
    plugin.capabilities = vec![Capability::Upstream];
    filter.backends = backends();
}

fn fetching(runtime: &Runtime, config: &str, limits: Limits) -> Arc<dyn Filter> {
    let change = |plugin: &mut Plugin, filter: &mut ChainFilter| {
        grant(plugin, filter);
        filter.limits = limits;
    };
    custom(runtime, "fetch", config, change).1
}

/// What the guest shows of a call with these words, and what the backend was asked.
fn check(words: &'static str, answer: Answer, expect: &str) -> Arc<Backend> {
    let backend = Backend::new([answer]);
    let filter = fetching(&runtime(), "backend=echo", LIMITS);
    let mut exchange = exchange_with(&backend, &[("x-fetch", words)]);
    filter.on_request_head(&mut exchange).unwrap();
    assert_eq!(exchange.request.headers["x-fetch-status"], expect, "{words}");
    backend
}

#[test]
fn an_answer_comes_with_its_fields_and_body() {
    let mut response = plain("the body");
    response.status = StatusCode::IM_A_TEAPOT;
    response.headers.append("x-answer", "a".parse().unwrap());
    let backend = Backend::new([Answer::of(response)]);
    let filter = fetching(&runtime(), "backend=echo answer=x-answer", LIMITS);
    let mut exchange = exchange_with(
        &backend,
        &[(
            "x-fetch",
            "method=POST path=/p?q=1 authority=h.example:8 header=x-a:1 header=x-a:2 body=sent max=100",
        )],
    );
    filter.on_request_head(&mut exchange).unwrap();
    let shown = |name| values(&exchange.request.headers, name);
    assert_eq!(shown("x-fetch-status"), ["418"]);
    assert_eq!(shown("x-fetch-body"), ["the body"]);
    assert_eq!(shown("x-fetch-answer"), ["a"]);

    let (cluster, request) = backend.asked().remove(0);
    assert_eq!((cluster.as_str(), request.method), ("c", Method::POST));
    assert_eq!(
        (request.path.as_str(), request.authority.as_str()),
        ("/p?q=1", "h.example:8")
    );
    assert_eq!(values(&request.headers, "x-a"), ["1", "2"]);
    assert_eq!(request.body, "sent");
    assert_eq!(request.largest_response, 100);
    assert_eq!(request.timeout, LIMITS.timeout);
}

#[test]
fn the_host_is_the_backends_name_where_none_is_given() {
    let backend = check("path=/", Answer::of(plain("")), "200");
    assert_eq!(backend.asked()[0].1.authority, "echo");
}

#[test]
fn every_failure_has_its_name() {
    for (error, name) in [
        (CalloutError::Connect, "connect"),
        (CalloutError::Timeout, "timeout"),
        (CalloutError::TooLarge, "too-large"),
        (CalloutError::Reset, "reset"),
        (CalloutError::Invalid, "invalid"),
    ] {
        check("path=/", Answer::Failure(error), name);
    }
}

#[test]
fn a_backend_that_is_not_granted_or_not_resolved_is_not_asked() {
    for (words, name) in [
        ("backend=other", "not-granted"),
        ("backend=c", "not-granted"),
        ("backend=dead", "connect"),
    ] {
        assert!(check(words, Answer::Never, name).asked().is_empty());
    }
}

#[test]
fn a_malformed_call_is_not_sent() {
    for words in [
        "method=GE(T",
        "method=CONNECT",
        "path=no-slash",
        "path=http://evil.example/",
        "authority=a/b",
        "authority=user@a.example",
        "authority=a.example:99999",
        "header=(x:1",
    ] {
        assert!(
            check(words, Answer::Never, "invalid").asked().is_empty(),
            "{words}"
        );
    }
}

#[test]
fn framing_of_a_call_is_the_gateways() {
    let words = "body=four header=content-length:1 header=transfer-encoding:chunked header=host:evil.example \
                 header=connection:close header=x-kept:1";
    let backend = check(words, Answer::of(plain("")), "200");
    let request = &backend.asked()[0].1;
    assert_eq!(request.headers.keys().collect::<Vec<_>>(), ["x-kept"]);
    assert_eq!(request.authority, "echo");
}

#[test]
fn limits_can_be_narrowed_and_not_widened() {
    let asked = |words| check(words, Answer::of(plain("")), "200").asked().remove(0).1;
    assert_eq!(asked("timeout=7").timeout, Duration::from_millis(7));
    assert_eq!(asked("timeout=4000000").timeout, LIMITS.timeout);
    assert_eq!(asked("max=0").largest_response, LIMITS.body);
    assert_eq!(asked("max=4000000000").largest_response, LIMITS.body);
}

#[test]
fn callouts_have_a_budget_per_exchange_and_filter() {
    let (runtime, registry) = measured(EngineConfig::small());
    let limits = Limits {
        callouts: 2,
        ..LIMITS
    };
    let filter = fetching(&runtime, "backend=echo calls=3", limits);
    let backend = Backend::new([]);
    for _ in 0..2 {
        let mut exchange = exchange_with(&backend, &[]);
        filter.on_request_head(&mut exchange).unwrap();
        assert_eq!(exchange.request.headers["x-fetch-status"], "200,200,over-budget");
        filter.on_request_head(&mut exchange).unwrap();
        assert_eq!(
            exchange.request.headers["x-fetch-status"],
            "over-budget,over-budget,over-budget"
        );
    }
    assert_eq!(backend.asked().len(), 4);
    let count = |result| {
        series(
            &registry,
            &format!(r#"weir_plugin_callouts_total{{plugin="test/fetch",result="{result}"}}"#),
        )
    };
    assert_eq!((count("ok"), count("over_budget")), (4.0, 8.0));
}

#[test]
fn every_phase_can_make_callouts() {
    let runtime = runtime();
    let chunk = || Chunk {
        bytes: Bytes::from_static(b"chunk"),
        end: true,
    };
    let phases = [
        ("request-head", Phase::RequestHead),
        ("request-body", Phase::RequestBody(chunk())),
        ("request-trailers", Phase::RequestTrailers),
        ("response-head", Phase::ResponseHead),
        ("response-body", Phase::ResponseBody(chunk())),
        ("response-trailers", Phase::ResponseTrailers),
        ("log", Phase::Log),
    ];
    for (name, phase) in phases {
        let backend = Backend::new([Answer::After(Duration::from_millis(1))]);
        let filter = fetching(&runtime, &format!("backend=echo at={name}"), LIMITS);
        assert!(filter.makes_callouts());
        let mut exchange = exchange_with(&backend, &[]);
        assert_eq!(filter.run(phase, &mut exchange).unwrap(), Action::Next, "{name}");
        assert_eq!(backend.asked().len(), 1, "{name}");
        assert_eq!(backend.dropped(), 0, "{name}");
    }
}

#[test]
fn an_answer_larger_than_the_memory_limit_fails_the_call() {
    let (runtime, limits) = (
        runtime(),
        Limits {
            memory: 4 << 20,
            ..LIMITS
        },
    );
    let filter = fetching(&runtime, "backend=echo", limits);
    let large = CalloutResponse {
        body: Bytes::from(vec![b'x'; 5 << 20]),
        ..plain("")
    };
    let backend = Backend::new([Answer::of(large)]);
    let error = filter
        .on_request_head(&mut exchange_with(&backend, &[]))
        .unwrap_err();
    assert_eq!(error.reason, FailureReason::Memory);
}

#[test]
fn fields_of_an_answer_count_too() {
    let (runtime, limits) = (
        runtime(),
        Limits {
            memory: 4 << 20,
            ..LIMITS
        },
    );
    let filter = fetching(&runtime, "backend=echo", limits);
    let mut headers = HeaderMap::new();
    for _ in 0..5 {
        headers.append("x-large", vec![b'x'; 1 << 20].try_into().unwrap());
    }
    let backend = Backend::new([Answer::of(CalloutResponse { headers, ..plain("") })]);
    let error = filter
        .on_request_head(&mut exchange_with(&backend, &[]))
        .unwrap_err();
    assert_eq!(error.reason, FailureReason::Memory);
}

#[test]
fn without_a_way_to_backends_a_callout_fails_politely() {
    let filter = fetching(&runtime(), "backend=echo", LIMITS);
    let mut exchange = exchange(&[]);
    filter.on_request_head(&mut exchange).unwrap();
    assert_eq!(exchange.request.headers["x-fetch-status"], "connect");
}

#[test]
fn a_callout_while_it_is_configured_fails_politely() {
    let parts = r#"
        (import "weir:policy/grpc@0.1.0" "open" (func $open
          (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
        (data (i32.const 512) "echo")"#;
    // Anything but an error with the number of `connect` is a trap.
    let configure = "
        (call $open (i32.const 512) (i32.const 4) (i32.const 512) (i32.const 4) (i32.const 512) (i32.const 4)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 128))
        (if (i32.ne (i32.load8_u (i32.const 128)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 132)) (i32.const 1)) (then unreachable))";
    let bytes = TextPolicy {
        imports: &["grpc"],
        parts,
        configure,
        ..TextPolicy::default()
    }
    .bytes();
    let mut plugin = plugin("text");
    plugin.capabilities = vec![Capability::Upstream];
    let loaded = runtime().load(&plugin, &bytes).unwrap();
    let mut filter = chain_filter("");
    grant(&mut plugin, &mut filter);
    filter.capabilities = vec![Capability::Upstream];
    loaded.filter(&filter).unwrap();
}

#[test]
fn grants_of_one_filter_are_not_anothers() {
    let runtime = runtime();
    let mut plugin = plugin("fetch");
    plugin.capabilities = vec![Capability::Upstream];
    let plugin = runtime.load(&plugin, &guest("fetch")).unwrap();
    let with = |grants| {
        let filter = ChainFilter {
            capabilities: vec![Capability::Upstream],
            backends: grants,
            ..chain_filter("backend=echo")
        };
        plugin.filter(&filter).unwrap()
    };
    let (granted, bare) = (with(backends()), with(Vec::new()));
    let backend = Backend::new([]);
    for (filter, expect) in [(&granted, "200"), (&bare, "not-granted"), (&granted, "200")] {
        let mut exchange = exchange_with(&backend, &[]);
        filter.on_request_head(&mut exchange).unwrap();
        assert_eq!(exchange.request.headers["x-fetch-status"], expect);
    }
}

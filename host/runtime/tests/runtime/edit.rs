//! What guests read and change through the host functions that need no grant.

use http::HeaderMap;
use weir_filter::{Exchange, Reason};

use crate::harness::{Calls as _, component, exchange, filter, load, plugin, runtime, values};

/// Runs probes in both head phases.
fn probe(words: &str, mut exchange: Exchange) -> Exchange {
    let probe = filter(&load(&runtime(), "header_probe"), words);
    probe.on_request_head(&mut exchange).unwrap();
    probe.on_response_head(&mut exchange).unwrap();
    exchange
}

/// What each probe said of a message.
fn answers(headers: &HeaderMap, words: &[&str]) -> Vec<String> {
    words
        .iter()
        .map(|word| values(headers, &format!("x-probe-{word}")).join("<>"))
        .collect()
}

const FIELDS: [(&str, &str); 3] = [("x-in", "yes"), ("x-other", "o"), ("x-in", "again")];

#[test]
fn a_request_is_read() {
    let words = [
        "method",
        "scheme",
        "authority",
        "path",
        "path-starts-with",
        "header",
        "header-values",
        "has-header",
        "header-is",
    ];
    let exchange = probe(&words.join(" "), exchange(&FIELDS));
    assert_eq!(
        answers(&exchange.request.headers, &words),
        [
            "GET",
            "http",
            "a.example",
            "/api/x?y=1",
            "true",
            "yes, again",
            "yes|again",
            "true",
            "true"
        ]
    );
}

#[test]
fn a_response_is_read() {
    let words = ["status", "header", "header-values", "has-header", "header-is"];
    let exchange = probe(&words.join(" "), exchange(&FIELDS));
    assert_eq!(
        answers(&exchange.response.headers, &words),
        ["200", "yes, again", "yes|again", "true", "true"]
    );
}

#[test]
fn absent_fields_are_told_from_empty_ones() {
    let words = ["header", "has-header", "header-is", "header-values"];
    let absent = probe(&words.join(" "), exchange(&[]));
    assert_eq!(
        answers(&absent.request.headers, &words),
        ["(none)", "false", "false", ""]
    );
    let empty = probe(&words.join(" "), exchange(&[("x-in", "")]));
    assert_eq!(answers(&empty.request.headers, &words), ["", "true", "false", ""]);
}

#[test]
fn the_block_holds_every_field() {
    let exchange = probe("headers", exchange(&FIELDS));
    assert_eq!(
        answers(&exchange.response.headers, &["headers"]),
        ["x-in=yes;x-in=again;x-other=o"]
    );
}

#[test]
fn a_request_is_edited() {
    let words = "edit-method edit-authority edit-path edit-append edit-several";
    let request = probe(words, exchange(&FIELDS)).request.headers.clone();
    assert_eq!(values(&request, "x-in"), ["yes", "again", "appended"]);
    assert_eq!(
        (values(&request, "x-first"), values(&request, "x-second")),
        (vec!["1".into()], vec!["2".into()])
    );
    let exchange = probe(words, exchange(&FIELDS));
    assert_eq!(exchange.request.method, "PATCH");
    assert_eq!(exchange.request.authority(), "edited.example");
    assert_eq!(exchange.request.path_and_query(), "/edited?by=probe");
}

#[test]
fn pseudo_fields_stand_for_method_path_authority_and_status() {
    let exchange = probe("edit-pseudo", exchange(&[]));
    assert_eq!(exchange.request.method, "PUT");
    assert_eq!(exchange.request.path_and_query(), "/pseudo");
    assert_eq!(exchange.request.authority(), "pseudo.example");
    assert_eq!(exchange.response.status.unwrap(), 208);
}

#[test]
fn a_response_is_edited() {
    let exchange = probe("edit-status edit-remove edit-several", exchange(&FIELDS));
    assert_eq!(exchange.response.status.unwrap(), 207);
    assert!(!exchange.response.headers.contains_key("x-in"));
    assert_eq!(exchange.response.headers["x-second"], "2");
}

#[test]
fn a_value_that_no_field_may_have_is_left_out() {
    let exchange = probe("edit-invalid header", exchange(&FIELDS));
    assert!(!exchange.request.headers.contains_key("x-bad"));
    assert_eq!(
        exchange.request.headers["x-probe-header"], "yes, again",
        "the call goes on"
    );
}

#[test]
fn facts_are_read() {
    let mut exchange = exchange(&[]);
    exchange.facts.connection_id = 7;
    exchange.facts.listener = Some("http".into());
    exchange.facts.reason = Some(Reason::NoRoute);
    let words = [
        "protocol",
        "downstream-connection-id",
        "downstream-remote-address",
        "listener",
        "route",
        "reason",
    ];
    let exchange = probe(&words.join(" "), exchange);
    assert_eq!(
        answers(&exchange.response.headers, &words),
        ["HTTP/1.1", "7", "0.0.0.0:0", "http", "(none)", "no_route"]
    );
}

#[test]
fn shared_values_reach_later_filters() {
    let plugin = load(&runtime(), "header_probe");
    let mut exchange = exchange(&[]);
    filter(&plugin, "share").on_request_head(&mut exchange).unwrap();
    filter(&plugin, "shared").on_request_head(&mut exchange).unwrap();
    assert_eq!(exchange.request.headers["x-probe-shared"], "shared");
}

/// Calls `set-header`, `append-header` and `remove-header` of the request with a name and the value `9`.
fn edit_by_name(name: &str) -> Exchange {
    let wit = "package test:edit; world editor { import weir:policy/request@0.1.0; export weir:policy/filter@0.1.0; }";
    let module = EDITOR
        .replace("NAME", name)
        .replace("LENGTH", &name.len().to_string());
    let plugin = runtime()
        .load(&plugin("editor"), &component(wit, "editor", Some(&module)))
        .unwrap();
    let mut exchange = exchange(&[]);
    filter(&plugin, "").on_request_head(&mut exchange).unwrap();
    exchange
}

const EDITOR: &str = r#"(module
  (import "weir:policy/request@0.1.0" "set-header" (func $set (param i32 i32 i32 i32)))
  (import "weir:policy/request@0.1.0" "append-header" (func $append (param i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 128) "NAME")
  (data (i32.const 256) "9")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
  (func (export "weir:policy/filter@0.1.0#configure") (param i32 i32 i32) (result i32)
    (i32.store8 (i32.const 20) (i32.const 1))
    i32.const 16)
  (func (export "weir:policy/filter@0.1.0#forget") (param i32))
  (func (export "weir:policy/filter@0.1.0#on-request-head") (param i32) (result i32)
    (call $set (i32.const 128) (i32.const LENGTH) (i32.const 256) (i32.const 1))
    (call $append (i32.const 128) (i32.const LENGTH) (i32.const 256) (i32.const 1))
    i32.const 64)
  (func (export "weir:policy/filter@0.1.0#on-response-head") (param i32) (result i32) i32.const 64)
  (func (export "weir:policy/filter@0.1.0#on-request-body") (param i32 i32 i32 i32) (result i32) i32.const 0)
  (func (export "weir:policy/filter@0.1.0#on-response-body") (param i32 i32 i32 i32) (result i32) i32.const 0)
  (func (export "weir:policy/filter@0.1.0#on-request-trailers") (param i32) (result i32) i32.const 0)
  (func (export "weir:policy/filter@0.1.0#on-response-trailers") (param i32) (result i32) i32.const 0)
  (func (export "weir:policy/filter@0.1.0#on-log") (param i32)))"#;

#[test]
fn framing_fields_and_bad_names_are_left_out() {
    let framing = [
        "content-length",
        "transfer-encoding",
        "connection",
        "Keep-Alive",
        "proxy-connection",
        "te",
    ];
    for name in framing
        .into_iter()
        .chain(["trailer", "upgrade", "bad name", ":scheme", ":none", ""])
    {
        let exchange = edit_by_name(name);
        let names: Vec<_> = exchange
            .request
            .headers
            .keys()
            .map(http::HeaderName::as_str)
            .collect();
        assert_eq!(names, ["host"], "{name}");
        assert_eq!(exchange.request.authority(), "a.example", "{name}");
    }
}

#[test]
fn the_host_stays_one() {
    assert_eq!(values(&edit_by_name("host").request.headers, "host"), ["9"]);
    assert_eq!(
        values(&edit_by_name("x-plain").request.headers, "x-plain"),
        ["9", "9"]
    );
}

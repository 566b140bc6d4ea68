//! Guests that attack the host: the exchange stays valid, the host's memory bounded, the worker alive.

mod call;
mod text;

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use weir_filter::{Action, Chunk, Exchange, FailureReason, FilterError, HeadOutcome, Phase};
use weir_model::{ChainFilter, Limits, Plugin};

use crate::harness::{Calls as _, LIMITS, closed_chain, custom, exchange, filter, load, runtime, worker};

const PHASES: [&str; 7] = [
    "request-head",
    "request-body",
    "request-trailers",
    "response-head",
    "response-body",
    "response-trailers",
    "log",
];

fn phase(name: &str) -> Phase {
    let chunk = || Chunk {
        bytes: Bytes::from_static(b"chunk"),
        end: true,
    };
    match name {
        "request-head" => Phase::RequestHead,
        "request-body" => Phase::RequestBody(chunk()),
        "request-trailers" => Phase::RequestTrailers,
        "response-head" => Phase::ResponseHead,
        "response-body" => Phase::ResponseBody(chunk()),
        "response-trailers" => Phase::ResponseTrailers,
        _ => Phase::Log,
    }
}

/// The attack in every phase, each on a new exchange; `look` sees what is left of it.
fn attack(text: &'static str, look: impl Fn(&str, Result<Action, FilterError>, &mut Exchange)) {
    let plugin = load(&runtime(), "hostile");
    for name in PHASES {
        let filter = filter(&plugin, &format!("at={name}"));
        let mut exchange = exchange(&[("x-attack", text)]);
        let result = filter.run(phase(name), &mut exchange);
        assert_valid(&exchange, name);
        look(name, result, &mut exchange);
        // The worker and the plugin go on.
        filter.run(phase(name), &mut self::exchange(&[])).unwrap();
    }
}

#[track_caller]
fn assert_valid(exchange: &Exchange, context: &str) {
    let request = &exchange.request;
    assert_ne!(request.method, Method::CONNECT, "{context}");
    assert!(request.path_and_query().starts_with('/'), "{context}");
    assert!(request.uri.authority().is_none(), "{context}: {}", request.uri);
    assert_eq!(request.headers.get_all("host").iter().count(), 1, "{context}");
    let status = exchange.response.status.unwrap();
    assert!(!status.is_informational(), "{context}: {status}");
    for fields in [
        &request.headers,
        &exchange.response.headers,
        &exchange.request_trailers,
        &exchange.response_trailers,
    ] {
        assert_fields(fields, context);
    }
}

#[track_caller]
fn assert_fields(fields: &HeaderMap, context: &str) {
    let framing = [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    for (name, value) in fields {
        assert!(!framing.contains(&name.as_str()), "{context}: {name}");
        assert!(!name.as_str().starts_with(':'), "{context}: {name}");
        assert_ne!(name, "x-injected", "{context}");
        let allowed = |byte: &u8| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f;
        assert!(
            value.as_bytes().iter().all(allowed),
            "{context}: {name}: {value:?}"
        );
    }
}

#[test]
fn edits_that_no_message_can_have_are_left_out_in_every_phase() {
    for text in [
        "method",
        "path",
        "authority",
        "names",
        "values",
        "pseudo",
        "framing",
        "trailers",
    ] {
        attack(text, |name, result, exchange| {
            assert_eq!(result.unwrap(), Action::Next, "{text} {name}");
            assert_eq!(exchange.response.status, Some(StatusCode::OK), "{text} {name}");
            let request = &exchange.request;
            assert_eq!(
                (&request.method, request.authority()),
                (&Method::GET, "a.example"),
                "{text} {name}"
            );
            // Of the paths tried, the last is one that clients send, too.
            let path = if text == "path" { "/\u{e9}" } else { "/api/x?y=1" };
            assert_eq!(request.path_and_query(), path, "{text} {name}");
        });
    }
}

#[test]
fn what_frames_a_message_cannot_be_removed_and_the_host_stays() {
    attack("unframe", |name, result, exchange| {
        result.unwrap();
        assert_eq!(exchange.request.authority(), "a.example", "{name}");
        assert_eq!(exchange.request.path_and_query(), "/api/x?y=1", "{name}");
    });
}

#[test]
fn a_status_that_ends_no_exchange_is_left_out() {
    for (text, status) in [
        ("set-status 101", 200),
        ("set-status 99", 200),
        ("set-status 1000", 200),
        ("set-status 65535", 200),
        ("set-status 0", 200),
        ("set-status 204", 204),
    ] {
        attack(text, |name, _, exchange| {
            assert_eq!(exchange.response.status.unwrap(), status, "{text} {name}");
        });
    }
}

#[test]
fn a_reply_is_valid_or_there_is_none() {
    for (text, status) in [
        ("reply-crlf", Some(200)),
        ("reply-name", Some(200)),
        ("reply-framing", Some(200)),
        ("reply-headers 40000", Some(200)),
        ("reply-twice", Some(202)),
        ("reply-status 101", None),
        ("reply-status 99", None),
        ("reply-status 65535", None),
    ] {
        attack(text, |name, result, exchange| {
            if name == "log" {
                return;
            }
            assert_eq!(result.unwrap(), Action::Reply, "{text} {name}");
            let reply = exchange.take_reply();
            assert_eq!(
                reply.as_ref().map(|it| it.status.as_u16()),
                status,
                "{text} {name}"
            );
            if let Some(reply) = reply {
                assert_fields(&reply.headers, text);
                assert!(
                    !reply.headers.contains_key("x-first"),
                    "of the reply that was replaced"
                );
            }
        });
    }
}

#[test]
fn more_than_the_memory_limit_is_kept_for_nobody() {
    for text in [
        "reply-large 20000000",
        "replace-body 20000000",
        "note-flood 40000",
        "note-large 20000000",
        "note-key 20000000",
        "shared-flood 40000",
        "shared-large 20000000",
        "long-value 20000000",
        "append 1000000",
    ] {
        // Room for the guest's own copy, and not for the host's.
        let memory = if text.contains("flood") || text.starts_with("append") {
            4 << 20
        } else {
            18 << 20
        };
        let change = |_: &mut Plugin, filter: &mut ChainFilter| {
            filter.limits = Limits {
                memory,
                deadline: Duration::from_secs(20),
                ..LIMITS
            };
        };
        let (_, filter) = custom(&runtime(), "hostile", "", change);
        let mut exchange = exchange(&[("x-attack", text)]);
        let error = filter.on_request_head(&mut exchange).unwrap_err();
        assert_eq!(error.reason, FailureReason::Memory, "{text}: {error}");
        assert_valid(&exchange, text);
        assert!(size(&exchange) <= 5 << 20, "{text}: {}", size(&exchange));
    }
}

/// Bytes that the host keeps for an exchange.
fn size(exchange: &Exchange) -> usize {
    let fields = |fields: &HeaderMap| {
        fields
            .iter()
            .map(|(n, v)| n.as_str().len() + v.len())
            .sum::<usize>()
    };
    exchange.notes_size()
        + exchange.shared_size()
        + fields(&exchange.request.headers)
        + fields(&exchange.response.headers)
}

#[test]
fn a_message_does_not_grow_without_bound_from_call_to_call() {
    for text in [
        "append 3000",
        "list 3000",
        "note-flood 1000",
        "shared-flood 1000",
        "long-name 60000",
    ] {
        let change = |_: &mut Plugin, filter: &mut ChainFilter| {
            filter.limits = Limits {
                memory: 4 << 20,
                deadline: Duration::from_secs(20),
                ..LIMITS
            };
        };
        let (_, filter) = custom(&runtime(), "hostile", "at=response-trailers", change);
        let mut exchange = exchange(&[("x-attack", text)]);
        for _ in 0..12 {
            match filter.run(Phase::ResponseTrailers, &mut exchange) {
                Ok(_) => {}
                Err(error) => assert!(
                    matches!(error.reason, FailureReason::Memory | FailureReason::Backoff),
                    "{text}: {error}"
                ),
            }
        }
        let values = exchange.request.headers.len() + exchange.response.headers.len();
        assert!(values <= 10_000, "{text}: {values} values");
        assert!(size(&exchange) <= 16 << 20, "{text}: {}", size(&exchange));
    }
}

#[test]
fn a_reply_that_is_not_said_is_not_sent() {
    attack("reply-unsaid", |name, result, _| {
        assert_eq!(result.unwrap(), Action::Next, "{name}");
    });
}

#[test]
fn what_one_filter_staged_is_not_sent_by_another() {
    let runtime = runtime();
    for (text, config) in [
        ("reply-unsaid", "at=request-head"),
        ("replace-body 4", "at=request-head"),
    ] {
        let chain = closed_chain([
            filter(&load(&runtime, "hostile"), config),
            filter(&load(&runtime, "replier"), "request-head silent"),
        ]);
        let mut run = chain.start(exchange(&[("x-attack", text)]));
        let outcome = worker(poll_fn(|cx| chain.poll_request_head(&mut run, cx)));
        assert!(
            matches!(&outcome, HeadOutcome::Failed(_, error) if error.reason == FailureReason::NoReply),
            "{text}: {outcome:?}"
        );
        assert_eq!(run.exchange().take_body(), None, "{text}");
    }
}

//! A fault of a guest costs its own call and nothing else.

use std::time::{Duration, Instant};

use bytes::Bytes;
use weir_filter::{FailureReason, FilterError};
use weir_model::{ChainFilter, Limits};

use crate::harness::{Calls as _, LIMITS, chain_filter, exchange, filter, load, runtime};

/// The guest fails in the phase that its configuration names; a second filter shares its instances.
fn check(guest: &str, reason: FailureReason) -> FilterError {
    let plugin = load(&runtime(), guest);
    let bad = filter(&plugin, "request-head");
    let good = filter(&plugin, "response-head");
    let mut exchange = exchange(&[("x-in", "yes")]);

    good.on_request_head(&mut exchange).unwrap();
    let error = bad.on_request_head(&mut exchange).unwrap_err();
    assert_eq!(
        (error.filter.as_str(), error.reason),
        ("filter(request-head)", reason),
        "{error}"
    );
    assert_eq!(exchange.request.headers["x-in"], "yes", "the exchange survives");
    good.on_request_head(&mut exchange).unwrap();
    assert_eq!(bad.on_request_head(&mut exchange).unwrap_err().reason, reason);
    good.on_request_head(&mut exchange).unwrap();
    error
}

#[test]
fn a_trap_fails_its_own_call_and_says_where() {
    let error = check("trap", FailureReason::Trap);
    assert!(
        error
            .message
            .starts_with("wasm trap: wasm `unreachable` instruction executed\n"),
        "{error}"
    );
    assert!(error.message.contains("wasm backtrace:"), "{error}");
}

#[test]
fn an_endless_loop_fails_its_own_call_at_the_deadline() {
    check("spin", FailureReason::Deadline);
}

#[test]
fn a_memory_bomb_fails_its_own_call_at_the_limit() {
    check("memory_bomb", FailureReason::Memory);
}

#[test]
fn every_phase_can_fail_and_go_on() {
    let plugin = load(&runtime(), "trap");
    let mut exchange = exchange(&[]);
    let chunk = Bytes::from_static(b"chunk");
    for phase in ["request-body", "response-head", "response-body", "log"] {
        let bad = filter(&plugin, phase);
        let result = match phase {
            "request-body" => bad.on_request_body(&mut exchange, &chunk, false).map(drop),
            "response-head" => bad.on_response_head(&mut exchange).map(drop),
            "response-body" => bad.on_response_body(&mut exchange, &chunk, true).map(drop),
            _ => bad.on_log(&mut exchange),
        };
        assert_eq!(result.unwrap_err().reason, FailureReason::Trap, "{phase}");
        bad.on_request_head(&mut exchange).unwrap();
    }
}

#[test]
fn a_narrower_deadline_of_a_filter_counts() {
    let plugin = load(&runtime(), "spin");
    let limits = Limits {
        deadline: Duration::from_millis(50),
        ..LIMITS
    };
    let hasty = plugin
        .filter(&ChainFilter {
            limits,
            ..chain_filter("request-head")
        })
        .unwrap();
    let started = Instant::now();
    assert_eq!(
        hasty.on_request_head(&mut exchange(&[])).unwrap_err().reason,
        FailureReason::Deadline
    );
    assert!((limits.deadline..LIMITS.deadline).contains(&started.elapsed()));
}

#[test]
fn plugins_outlive_their_runtime_with_the_clock_running() {
    let plugin = {
        let runtime = runtime();
        load(&runtime, "spin")
    };
    let bad = filter(&plugin, "request-head");
    assert_eq!(
        bad.on_request_head(&mut exchange(&[])).unwrap_err().reason,
        FailureReason::Deadline
    );
}

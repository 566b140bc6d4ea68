//! Attacks through what must be granted.

use std::sync::Arc;
use std::time::Duration;

use weir_filter::{Action, FailureReason, FilterError};
use weir_model::{Capability, ChainFilter, Limits, Plugin};
use weir_runtime::{EngineConfig, Runtime, RuntimeConfig};

use super::{assert_fields, assert_valid};
use crate::harness::{
    Answer, Backend, Calls as _, LIMITS, Memory, Opener, backends, config, custom, exchange_with, values,
};

/// `hostile_calls` with every grant, and what it saw of the attack.
fn call_attack(text: &'static str, backend: &Arc<Backend>) -> Result<String, FilterError> {
    call_attack_within(LIMITS.timeout, text, backend)
}

fn call_attack_within(
    timeout: Duration,
    text: &'static str,
    backend: &Arc<Backend>,
) -> Result<String, FilterError> {
    let runtime = Runtime::new(RuntimeConfig {
        sinks: Arc::new(Opener(Arc::new(Memory::default()))),
        ..config(EngineConfig::small())
    })
    .unwrap();
    let change = |plugin: &mut Plugin, filter: &mut ChainFilter| {
        plugin.capabilities = ["upstream", "kv", "metrics", "log", "random", "sink:/dev/stdout"]
            .map(|it| it.parse::<Capability>().unwrap())
            .to_vec();
        filter.backends = backends();
        filter.limits = Limits {
            memory: 8 << 20,
            timeout,
            ..LIMITS
        };
    };
    let (_, filter) = custom(&runtime, "hostile_calls", "backend=echo", change);
    let mut exchange = exchange_with(backend, &[("x-attack", text)]);
    let action = filter.on_request_head(&mut exchange);
    assert_valid(&exchange, text);
    action.map(|action| {
        assert_eq!(action, Action::Next, "{text} is an attack");
        values(&exchange.request.headers, "x-attack-result").join("|")
    })
}

#[test]
fn malformed_callouts_never_leave_the_gateway() {
    for (text, expect) in [
        ("unknown-backend", "not-granted"),
        ("odd-backend", "not-granted"),
        ("method", "invalid"),
        ("connect", "invalid"),
        ("path", "invalid"),
        ("no-path", "invalid"),
        ("authority", "invalid"),
        ("field-value", "invalid"),
        ("field-name", "invalid"),
        ("fields 40000", "invalid"),
        ("grpc-unknown", "not-granted"),
        ("grpc-service", "invalid"),
        ("grpc-empty", "invalid"),
        ("grpc-metadata", "invalid"),
        (
            "stream-unopened",
            "invalid,invalid invalid,invalid invalid,invalid",
        ),
    ] {
        let backend = Backend::new([Answer::Never]);
        assert_eq!(call_attack(text, &backend).unwrap(), expect, "{text}");
        assert!(backend.asked().is_empty(), "{text}");
    }
}

#[test]
fn callouts_and_streams_stay_within_their_budget() {
    let budget = usize::try_from(LIMITS.callouts).unwrap();
    for (text, expect, asked) in [
        ("calls 1000", "over-budget", budget),
        ("stream-flood 1000", "over-budget", budget),
        ("stream-cancelled", "invalid", 1),
        ("framing", "200", 1),
        ("body 1000", "200", 1),
    ] {
        let backend = Backend::new([]);
        assert_eq!(call_attack(text, &backend).unwrap(), expect, "{text}");
        assert_eq!(backend.asked().len(), asked, "{text}");
        for (_, request) in backend.asked().iter().filter(|_| text == "framing") {
            assert_fields(&request.headers, text);
        }
    }
}

#[test]
fn more_random_bytes_than_the_memory_limit_are_not_made() {
    let error = call_attack("random 4000000000", &Backend::new([])).unwrap_err();
    assert_eq!(error.reason, FailureReason::Memory, "{error}");
}

#[test]
fn messages_that_nobody_takes_do_not_pile_up() {
    let backend = Backend::new([]);
    // The time of the message and that of the call are the same, and either may end it.
    match call_attack_within(Duration::from_millis(500), "stream-messages 1000", &backend) {
        Ok(answer) => assert_eq!(answer, "timeout"),
        Err(error) => assert_eq!(error.reason, FailureReason::Timeout, "{error}"),
    }
    assert_eq!(backend.stream().sent.len(), 1, "the double has room for one");
}

#[test]
fn attacks_on_what_is_kept_are_answered() {
    for (text, expect) in [
        ("sink-index", "unknown"),
        ("sink-flood 1000", "0"),
        ("kv-key 513", "too-large"),
        ("kv-value 2000000", "too-large"),
        ("kv-flood 20000", "over-quota"),
        ("kv-keys", "0"),
        ("kv-ttl", "ok"),
        ("metrics 2000", "done"),
        ("log 100000", "done"),
        ("random 1000", "1000"),
    ] {
        assert_eq!(call_attack(text, &Backend::new([])).unwrap(), expect, "{text}");
    }
}

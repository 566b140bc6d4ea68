//! What filters and exchanges cannot do to each other.

use std::future::poll_fn;
use std::sync::Arc;

use weir_filter::{Chain, FailureReason, Filter, HeadOutcome, Step};
use weir_model::{ChainFilter, FailureMode, Isolation, Limits};
use weir_runtime::EngineConfig;

use crate::harness::{
    Calls as _, LIMITS, chain_filter, closed_chain, custom, exchange, filter, load, measured, runtime,
    series, values, worker,
};

/// Runs both heads of an exchange; answers how many calls and exchanges the instance has seen.
fn heads(filter: &Arc<dyn Filter>, during: impl FnOnce()) -> String {
    let chain = closed_chain([Arc::clone(filter)]);
    let mut run = chain.start(exchange(&[]));
    worker(async {
        poll_fn(|cx| chain.poll_request_head(&mut run, cx)).await;
        during();
        poll_fn(|cx| chain.poll_response_head(&mut run, cx)).await;
    });
    let headers = &run.exchange().response.headers;
    ["x-calls", "x-exchanges"]
        .map(|name| headers[name].to_str().unwrap())
        .join(" ")
}

#[test]
fn a_fresh_instance_serves_one_exchange_and_is_thrown_away() {
    let (runtime, registry) = measured(EngineConfig::small());
    let (plugin, fresh) = custom(&runtime, "affinity_exchange", "call", |_, filter| {
        filter.isolation = Isolation::Fresh;
    });
    let instances = || {
        series(
            &registry,
            r#"weir_plugin_instances{plugin="test/affinity_exchange"}"#,
        )
    };
    for _ in 0..20 {
        let seen = heads(&fresh, || assert_eq!(instances(), 1.0));
        assert_eq!(seen, "2 1", "within an exchange, and never in another");
        assert_eq!(instances(), 0.0);
    }
    let warm = filter(&plugin, "call");
    for turn in 1..=3 {
        assert_eq!(
            heads(&warm, || ()),
            format!("2 {turn}"),
            "what a fresh one leaves is nobody's"
        );
    }
    assert_eq!(heads(&fresh, || assert_eq!(instances(), 2.0)), "2 1");
}

#[test]
fn filters_of_one_plugin_have_their_own_memory_limits() {
    let (runtime, registry) = measured(EngineConfig::small());
    let (plugin, large) = custom(&runtime, "leak", "request-head kib=2048", |plugin, filter| {
        plugin.recycle.memory_percent = 100;
        filter.limits.instances = 2;
    });
    let small = plugin
        .filter(&ChainFilter {
            limits: Limits {
                memory: 4 << 20,
                instances: 2,
                ..LIMITS
            },
            ..chain_filter("request-head kib=64")
        })
        .unwrap();
    let instances = || series(&registry, r#"weir_plugin_instances{plugin="test/leak"}"#);
    for _ in 0..12 {
        large.on_request_head(&mut exchange(&[])).unwrap();
        small.on_request_head(&mut exchange(&[])).unwrap();
        assert!(instances() <= 2.0, "{} of 2", instances());
    }
}

#[test]
fn the_smaller_limit_of_two_counts_for_its_own_filter_only() {
    let runtime = runtime();
    let (plugin, large) = custom(&runtime, "leak", "request-head kib=8192", |_, _| {});
    let small = |config| {
        let limits = Limits {
            memory: 4 << 20,
            ..LIMITS
        };
        let filter = ChainFilter {
            limits,
            ..chain_filter(config)
        };
        plugin.filter(&filter).unwrap()
    };
    let (greedy, modest) = (small("request-head kib=8192"), small("request-head kib=16"));
    for _ in 0..2 {
        modest.on_request_head(&mut exchange(&[])).unwrap();
        large.on_request_head(&mut exchange(&[])).unwrap();
        let error = greedy.on_request_head(&mut exchange(&[])).unwrap_err();
        assert_eq!(error.reason, FailureReason::Memory, "{error}");
    }
}

#[test]
fn a_neighbour_that_fails_open_leaves_the_others_their_work() {
    let runtime = runtime();
    for fault in ["trap", "spin", "memory_bomb"] {
        let step = |filter, failure_mode| Step { filter, failure_mode };
        let bad = || step(filter(&load(&runtime, fault), "request-head"), FailureMode::Open);
        let auth = || step(filter(&load(&runtime, "auth"), "secret"), FailureMode::Closed);
        for steps in [vec![bad(), auth()], vec![auth(), bad()]] {
            let chain = Chain::new(steps);
            let head = |fields| {
                let mut run = chain.start(exchange(fields));
                let outcome = worker(poll_fn(|cx| chain.poll_request_head(&mut run, cx)));
                (
                    outcome,
                    values(&run.exchange().request.headers, "x-authenticated"),
                )
            };
            let (outcome, _) = head(&[("x-token", "wrong")]);
            assert!(
                matches!(outcome, HeadOutcome::Reply(_, reply) if reply.status == 403),
                "{fault}"
            );
            let (outcome, authenticated) = head(&[("x-token", "secret")]);
            assert!(matches!(outcome, HeadOutcome::Done), "{fault}");
            assert_eq!(authenticated, ["yes"], "{fault}");
        }
    }
}

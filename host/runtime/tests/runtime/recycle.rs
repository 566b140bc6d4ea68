//! How many instances there are, and when they make way.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use weir_filter::{FailureReason, HeadOutcome, Phase};
use weir_runtime::{EngineConfig, Runtime};
use weir_telemetry::Registry;

use crate::harness::{
    Calls as _, call, closed_chain, config, custom, exchange, filter, load, measured, series, worker,
};

fn of(registry: &Registry, metric: &str, plugin: &str, more: &str) -> f64 {
    series(registry, &format!("{metric}{{plugin=\"test/{plugin}\"{more}}}"))
}

#[test]
fn ten_thousand_filters_of_one_plugin_need_one_instance_on_a_thread() {
    let (runtime, registry) = measured(EngineConfig::small());
    let plugin = load(&runtime, "config_echo");
    let filters: Vec<_> = (0..10_000).map(|n| filter(&plugin, &n.to_string())).collect();
    worker(async {
        for (n, filter) in filters.iter().enumerate().chain(filters.iter().enumerate()) {
            let finished = call(filter, Phase::RequestHead, exchange(&[])).await;
            assert_eq!(finished.exchange.request.headers["x-config"], n.to_string());
        }
    });
    assert_eq!(of(&registry, "weir_plugin_instances", "config_echo", ""), 1.0);
    assert_eq!(
        of(&registry, "weir_plugin_cold_starts_total", "config_echo", ""),
        1.0
    );
}

#[test]
fn an_instance_makes_way_after_its_age() {
    let (runtime, registry) = measured(EngineConfig::small());
    let (_, filter) = custom(&runtime, "headers", "a", |plugin, _| {
        plugin.recycle.age = Duration::from_millis(20);
    });
    filter.on_request_head(&mut exchange(&[])).unwrap();
    let (start, aged) = (Instant::now(), || {
        of(
            &registry,
            "weir_plugin_recycles_total",
            "headers",
            ",cause=\"age\"",
        )
    });
    while aged() < 2.0 {
        filter.on_request_head(&mut exchange(&[])).unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it is older than 20 ms by now"
        );
    }
    assert!(start.elapsed() >= Duration::from_millis(30), "but not before");
}

#[test]
fn an_instance_that_leaks_makes_way_before_it_fails() {
    let (runtime, registry) = measured(EngineConfig::small());
    let (_, filter) = custom(&runtime, "leak", "request-head kib=512", |_, filter| {
        filter.limits.memory = 8 << 20;
    });
    for _ in 0..100 {
        filter.on_request_head(&mut exchange(&[])).unwrap();
    }
    let recycled = of(
        &registry,
        "weir_plugin_recycles_total",
        "leak",
        ",cause=\"memory\"",
    );
    // 8 MiB are 16 leaks, 75 percent of them 12, less what the guest needs itself.
    assert!((8.0..=12.0).contains(&recycled), "{recycled}");
    assert!(of(&registry, "weir_plugin_instances", "leak", "") <= 1.0);
}

#[test]
fn a_full_engine_is_not_the_plugins_failure() {
    let small = EngineConfig {
        instances: 1,
        ..EngineConfig::small()
    };
    let runtime = Runtime::new(config(small)).unwrap();
    let (plugin, waiting) = custom(&runtime, "headers", "a", |_, _| {});
    let chain = closed_chain([filter(&load(&runtime, "affinity_exchange"), "")]);
    let mut run = chain.start(exchange(&[]));
    worker(poll_fn(|cx| chain.poll_request_head(&mut run, cx)));
    for _ in 0..10 {
        let error = waiting.on_request_head(&mut exchange(&[])).unwrap_err();
        assert_eq!(error.reason, FailureReason::Exhausted, "{error}");
    }
    assert!(!plugin.is_crash_looping());
    drop(run);
    waiting.on_request_head(&mut exchange(&[])).unwrap();
}

#[test]
fn a_filter_has_no_more_instances_than_its_limit() {
    let (runtime, registry) = measured(EngineConfig::small());
    let (_, bound) = custom(&runtime, "affinity_exchange", "", |_, filter| {
        filter.limits.instances = 2
    });
    let chain = closed_chain([bound]);
    let start = || {
        let mut run = chain.start(exchange(&[]));
        let outcome = worker(poll_fn(|cx| chain.poll_request_head(&mut run, cx)));
        (run, outcome)
    };
    let (first, second) = (start(), start());
    let (_, third) = start();
    assert!(
        matches!(&third, HeadOutcome::Failed(_, error) if error.reason == FailureReason::Exhausted),
        "{third:?}"
    );
    assert_eq!(
        of(&registry, "weir_plugin_instances", "affinity_exchange", ""),
        2.0
    );
    drop((first, second));
    assert!(matches!(start().1, HeadOutcome::Done));
}

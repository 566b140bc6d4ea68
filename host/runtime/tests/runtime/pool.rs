//! The engine's pool, and the pools of workers.

use std::future::poll_fn;
use std::thread;

use weir_filter::{Chain, FailureReason, Step};
use weir_model::FailureMode;
use weir_runtime::{EngineConfig, LoadError, Runtime};

use crate::harness::{Calls as _, chain_filter, config, exchange, filter, load, runtime, values, worker};

#[test]
fn an_idle_instance_makes_way_and_one_in_use_does_not() {
    let runtime = Runtime::new(config(EngineConfig {
        instances: 1,
        ..EngineConfig::small()
    }))
    .unwrap();
    let first = filter(&load(&runtime, "headers"), "a");
    let second = filter(&load(&runtime, "config_echo"), "b");
    first.on_request_head(&mut exchange(&[])).unwrap();
    second.on_request_head(&mut exchange(&[])).unwrap();

    let bound = filter(&load(&runtime, "affinity_exchange"), "");
    let chain = Chain::new(vec![Step {
        filter: bound,
        failure_mode: FailureMode::Closed,
    }]);
    let mut run = chain.start(exchange(&[]));
    worker(poll_fn(|cx| chain.poll_request_head(&mut run, cx)));
    let error = second.on_request_head(&mut exchange(&[])).unwrap_err();
    assert_eq!(error.reason, FailureReason::Exhausted, "{error}");
    drop(run);
    second.on_request_head(&mut exchange(&[])).unwrap();
}

#[test]
fn every_worker_has_instances_of_its_own() {
    let plugin = load(&runtime(), "config_echo");
    let filter = filter(&plugin, "a");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let mut exchange = exchange(&[]);
                    filter.on_request_head(&mut exchange).unwrap();
                    assert_eq!(values(&exchange.request.headers, "x-config"), ["a"]);
                }
            });
        }
    });
}

#[test]
fn more_memory_than_the_engine_has_is_refused() {
    let plugin = load(&runtime(), "headers");
    let mut large = chain_filter("a");
    large.limits.memory = 1 << 40;
    let error = plugin.filter(&large).unwrap_err();
    assert!(matches!(error, LoadError::MemoryLimit { .. }), "{error}");
}

#[test]
fn a_memory_limit_below_what_an_instance_needs_is_told() {
    let plugin = load(&runtime(), "headers");
    let mut tiny = chain_filter("a");
    tiny.limits.memory = 1024;
    let error = plugin.filter(&tiny).unwrap_err();
    assert!(
        matches!(
            error,
            LoadError::Start {
                reason: FailureReason::Memory,
                ..
            }
        ),
        "{error}"
    );
}

//! The engine's pool, and the pools of workers.

use std::thread;

use weir_filter::FailureReason;
use weir_runtime::{EngineConfig, LoadError, Runtime};

use crate::harness::{chain_filter, config, exchange, filter, load, runtime, values};

#[test]
fn an_exhausted_pool_fails_calls_until_an_instance_is_given_up() {
    let runtime = Runtime::new(config(EngineConfig {
        instances: 1,
        ..EngineConfig::small()
    }))
    .unwrap();
    let first = filter(&load(&runtime, "headers"), "a");
    let second = filter(&load(&runtime, "config_echo"), "b");
    let mut exchange = exchange(&[]);
    first.on_request_head(&mut exchange).unwrap();
    let error = second.on_request_head(&mut exchange).unwrap_err();
    assert_eq!(error.reason, FailureReason::Exhausted, "{error}");
    first.on_request_head(&mut exchange).unwrap();
    drop(first);
    second.on_request_head(&mut exchange).unwrap();
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

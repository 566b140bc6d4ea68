//! Plugins that fail again and again.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_filter::{FailureReason, Filter};
use weir_model::{ChainFilter, Isolation, Plugin};
use weir_runtime::{EngineConfig, LoadError};
use weir_telemetry::Registry;

use crate::harness::{
    Calls as _, chain_filter, closed_chain, custom, exchange, filter, guest, load, measured, plugin, runtime,
    series, worker,
};

/// Lets the guest crash until its starts wait. The first waits are short, so a slow machine may miss some.
fn crash_until_it_waits(filter: &Arc<dyn Filter>) -> u32 {
    for crashes in 0..20 {
        let error = filter
            .on_request_head(&mut exchange(&[("x-crash", "1")]))
            .unwrap_err();
        match error.reason {
            FailureReason::Backoff => {
                assert!(
                    error.message.starts_with(&format!(
                        "it failed {crashes} times in a row; it is started again in "
                    )),
                    "{error}"
                );
                return crashes;
            }
            reason => assert_eq!(reason, FailureReason::Trap, "{error}"),
        }
    }
    panic!("its starts never wait")
}

fn recover(filter: &Arc<dyn Filter>) {
    let start = Instant::now();
    while let Err(error) = filter.on_request_head(&mut exchange(&[])) {
        assert_eq!(error.reason, FailureReason::Backoff, "{error}");
        assert!(start.elapsed() < Duration::from_secs(20), "the wait has an end");
    }
}

fn crash_loop(registry: &Registry) -> f64 {
    series(registry, r#"weir_plugin_crash_loop{plugin="test/crash_loop"}"#)
}

#[test]
fn starts_of_a_plugin_that_crashes_wait_until_it_works_again() {
    for calls in [100_000, 1] {
        let (runtime, registry) = measured(EngineConfig::small());
        let (plugin, filter) = custom(&runtime, "crash_loop", "", |plugin, _| {
            plugin.recycle.calls = calls
        });
        assert!(crash_until_it_waits(&filter) >= 3, "the first failures are free");
        assert!(plugin.is_crash_looping());
        assert_eq!(crash_loop(&registry), 1.0);
        let backoff = r#"weir_plugin_faults_total{plugin="test/crash_loop",reason="filter_backoff"}"#;
        assert_eq!(series(&registry, backoff), 1.0);
        recover(&filter);
        assert!(!plugin.is_crash_looping());
        assert_eq!(
            crash_loop(&registry),
            0.0,
            "an instance that serves {calls} calls"
        );
    }
}

#[test]
fn instances_that_work_go_on_meanwhile() {
    let (runtime, _) = measured(EngineConfig::small());
    let (plugin, crashing) = custom(&runtime, "crash_loop", "", |_, filter| {
        filter.isolation = Isolation::Fresh;
    });
    let warm = filter(&plugin, "");
    warm.on_request_head(&mut exchange(&[])).unwrap();
    crash_until_it_waits(&crashing);
    let mut exchange = exchange(&[]);
    warm.on_request_head(&mut exchange).unwrap();
    assert_eq!(exchange.request.headers["x-survived"], "yes");
}

#[test]
fn a_crash_now_and_then_makes_nobody_wait() {
    let (runtime, registry) = measured(EngineConfig::small());
    let (plugin, filter) = custom(&runtime, "crash_loop", "", |_, _| {});
    for _ in 0..10 {
        for fields in [&[("x-crash", "1")][..], &[]] {
            let result = filter.on_request_head(&mut exchange(fields));
            assert_eq!(result.is_err(), !fields.is_empty());
        }
    }
    assert!(!plugin.is_crash_looping());
    let starts = r#"weir_plugin_cold_starts_total{plugin="test/crash_loop"}"#;
    assert_eq!(series(&registry, starts), 11.0);
}

#[test]
fn the_end_of_an_exchange_is_no_success() {
    let (runtime, registry) = measured(EngineConfig::small());
    let (plugin, crashing) = custom(&runtime, "crash_loop", "", |_, _| {});
    let fresh = ChainFilter {
        isolation: Isolation::Fresh,
        ..chain_filter("")
    };
    let chain = closed_chain([plugin.filter(&fresh).unwrap()]);
    let mut run = chain.start(exchange(&[]));
    worker(poll_fn(|cx| chain.poll_request_head(&mut run, cx)));
    crash_until_it_waits(&crashing);
    drop(run);
    assert!(plugin.is_crash_looping());
    assert_eq!(crash_loop(&registry), 1.0);
}

#[test]
fn a_better_version_ends_the_alarm_of_the_one_before() {
    let (runtime, registry) = measured(EngineConfig::small());
    let (old, crashing) = custom(&runtime, "crash_loop", "", |_, _| {});
    crash_until_it_waits(&crashing);
    let fixed = Plugin {
        name: plugin("crash_loop").name,
        ..plugin("headers")
    };
    let fixed = runtime.load(&fixed, &guest("headers")).unwrap();
    let _filter = filter(&fixed, "a");
    drop((crashing, old));
    assert_eq!(crash_loop(&registry), 0.0);
}

#[test]
fn other_plugins_do_not_wait() {
    let runtime = runtime();
    let (_, crashing) = custom(&runtime, "crash_loop", "", |_, _| {});
    crash_until_it_waits(&crashing);
    filter(&load(&runtime, "headers"), "a")
        .on_request_head(&mut exchange(&[]))
        .unwrap();
}

#[test]
fn a_plugin_that_crashes_while_it_is_configured_is_refused() {
    let error = load(&runtime(), "crash_loop")
        .filter(&chain_filter("configure"))
        .unwrap_err();
    assert!(
        matches!(
            error,
            LoadError::Start {
                reason: FailureReason::Start,
                ..
            }
        ),
        "{error}"
    );
    let error = load(&runtime(), "slow_start")
        .filter(&chain_filter("for-ever"))
        .unwrap_err();
    assert!(
        matches!(
            error,
            LoadError::Start {
                reason: FailureReason::Deadline,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn plugins_of_the_same_bytes_do_not_wait_for_each_other() {
    let (runtime, _) = measured(EngineConfig::small());
    let (plugin_a, crashing) = custom(&runtime, "crash_loop", "", |_, _| {});
    let rename = |plugin: &mut Plugin, _: &mut ChainFilter| plugin.name = "other/copy".to_owned();
    let (plugin_b, sound) = custom(&runtime, "crash_loop", "", rename);
    crash_until_it_waits(&crashing);
    sound.on_request_head(&mut exchange(&[])).unwrap();
    assert!(plugin_a.is_crash_looping() && !plugin_b.is_crash_looping());
}

#[test]
fn a_shadow_that_crashes_delays_only_itself() {
    let (runtime, registry) = measured(EngineConfig::small());
    let (plugin, live) = custom(&runtime, "crash_loop", "", |_, _| {});
    let shadow = plugin.shadow(&chain_filter("")).unwrap();
    crash_until_it_waits(&shadow);
    live.on_request_head(&mut exchange(&[])).unwrap();
    assert!(!plugin.is_crash_looping());
    assert_eq!(crash_loop(&registry), 0.0);
}

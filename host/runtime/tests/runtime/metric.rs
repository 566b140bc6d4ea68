//! What plugins measure themselves, what the gateway measures of them, and log lines beyond their rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use weir_filter::Filter;
use weir_model::{Capability, ChainFilter, Plugin};
use weir_runtime::EngineConfig;
use weir_telemetry::Registry;

use crate::harness::{Calls as _, custom, exchange, measured, series};

fn probe() -> (Arc<dyn Filter>, Registry) {
    let (runtime, registry) = measured(EngineConfig::small());
    let change = |plugin: &mut Plugin, _: &mut ChainFilter| plugin.capabilities = vec![Capability::Metrics];
    (custom(&runtime, "metrics_probe", "", change).1, registry)
}

fn run(filter: &Arc<dyn Filter>, script: &'static str, steps: &str) {
    let mut exchange = exchange(&[("x-metrics", script)]);
    filter.on_request_head(&mut exchange).unwrap();
    assert_eq!(exchange.request.headers["x-metrics-done"], steps);
}

/// The series of guests on the page, without comments.
fn guests(registry: &Registry) -> Vec<String> {
    let page = registry.render();
    let lines = page.lines().filter(|it| it.starts_with("weir_guest_"));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_plugin_measures() {
    let (filter, registry) = probe();
    run(
        &filter,
        "add hits 2 country=ch; add hits 3 country=ch; set depth 1.5; observe took 0.3",
        "4",
    );
    run(&filter, "add hits_total 1 country=ch; set depth -2", "2");
    let shown = |name| series(&registry, name);
    assert_eq!(
        shown(r#"weir_guest_hits_total{plugin="test/metrics_probe",country="ch"}"#),
        6.0
    );
    assert_eq!(shown(r#"weir_guest_depth{plugin="test/metrics_probe"}"#), -2.0);
    assert_eq!(
        shown(r#"weir_guest_took_count{plugin="test/metrics_probe"}"#),
        1.0
    );
    assert_eq!(shown(r#"weir_guest_took_sum{plugin="test/metrics_probe"}"#), 0.3);
}

#[test]
fn what_cannot_be_taken_is_left_out_and_counted() {
    let (filter, registry) = probe();
    for (script, reason) in [
        ("add - 1", "name"),
        ("add Upper 1", "name"),
        ("set x_total 1", "name"),
        ("add x 1 plugin=other", "label"),
        ("wide x 9", "label"),
        ("set x inf", "number"),
        ("observe x nan", "number"),
    ] {
        let refused =
            format!(r#"weir_plugin_metrics_refused_total{{plugin="test/metrics_probe",reason="{reason}"}}"#);
        let before = series(&registry, &refused);
        run(&filter, script, "1");
        assert_eq!(series(&registry, &refused), before + 1.0, "{script}");
        assert_eq!(guests(&registry), [""; 0], "{script}");
    }
}

#[test]
fn a_plugin_has_so_many_series_and_no_more() {
    let (filter, registry) = probe();
    run(&filter, "series many 1500", "1");
    assert_eq!(guests(&registry).len(), 1000);
    let refused = r#"weir_plugin_metrics_refused_total{plugin="test/metrics_probe",reason="limit"}"#;
    assert_eq!(series(&registry, refused), 500.0);
    run(&filter, "add many 1 n=7", "1");
    assert_eq!(
        series(
            &registry,
            r#"weir_guest_many_total{plugin="test/metrics_probe",n="7"}"#
        ),
        2.0,
        "those that are there go on"
    );
}

#[test]
fn calls_faults_and_instances_are_measured() {
    let (runtime, registry) = measured(EngineConfig::small());
    let (_, filter) = custom(&runtime, "crash_loop", "", |_, _| {});
    for fields in [&[][..], &[], &[("x-crash", "1")]] {
        let failed = filter.on_request_head(&mut exchange(fields)).is_err();
        assert_eq!(failed, !fields.is_empty());
    }
    for (name, expect) in [
        (
            r#"weir_plugin_call_duration_seconds_count{plugin="test/crash_loop",phase="request_head"}"#,
            3.0,
        ),
        (
            r#"weir_plugin_faults_total{plugin="test/crash_loop",reason="filter_trap"}"#,
            1.0,
        ),
        (
            r#"weir_filter_faults_total{plugin="test/crash_loop",filter="filter()",reason="filter_trap"}"#,
            1.0,
        ),
        (r#"weir_plugin_cold_starts_total{plugin="test/crash_loop"}"#, 1.0),
        (
            r#"weir_plugin_recycles_total{plugin="test/crash_loop",cause="fault"}"#,
            1.0,
        ),
        (r#"weir_plugin_instances{plugin="test/crash_loop"}"#, 0.0),
        (r#"weir_plugin_crash_loop{plugin="test/crash_loop"}"#, 0.0),
    ] {
        assert_eq!(series(&registry, name), expect, "{name}");
    }
}

#[test]
fn log_lines_beyond_the_rate_of_a_filter_are_dropped_and_counted() {
    let (runtime, registry) = measured(EngineConfig::small());
    let change = |plugin: &mut Plugin, filter: &mut ChainFilter| {
        plugin.capabilities = vec![Capability::Log];
        filter.limits.log_lines = 10;
    };
    let (_, filter) = custom(&runtime, "log_flood", "request-head lines=1000", change);
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        filter.on_request_head(&mut exchange(&[])).unwrap();
    });
    let (written, dropped) = (
        lines.count(),
        series(
            &registry,
            r#"weir_plugin_log_lines_dropped_total{plugin="test/log_flood"}"#,
        ),
    );
    assert_eq!(written + dropped, 1000.0);
    // The second may turn once or, on a slow machine, twice in the middle of it.
    assert!((10.0..=30.0).contains(&written), "{written}");
}

/// Counts lines of plugins.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<AtomicU32>);

impl Lines {
    fn count(&self) -> f64 {
        f64::from(self.0.load(Ordering::Relaxed))
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "plugin"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        assert_eq!(*event.metadata().level(), tracing::Level::WARN);
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

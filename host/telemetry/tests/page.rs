//! The page as a scraper reads it: parsed, checked against the rules of the format, and compared.

#![allow(
    clippy::expect_used,
    reason = "a page that cannot be read has failed the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use weir_telemetry::{Comparison, GuestMetrics, PluginFamilies, Registry};

/// Samples by name and labels, as they are written.
type Samples = BTreeMap<String, f64>;

/// Reads a page. Panics where a scraper would complain.
fn parse(page: &str) -> Samples {
    let body = page.strip_suffix("# EOF\n").expect("the end is marked");
    let mut families = BTreeSet::new();
    let mut samples = Samples::new();
    let (mut family, mut kind) = (String::new(), String::new());
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a help has a text");
            assert!(text.ends_with('.'), "{line}");
            assert!(families.insert(name.to_owned()), "{name} twice");
            name.clone_into(&mut family);
        } else if let Some(named) = line.strip_prefix("# TYPE ") {
            let (name, word) = named.split_once(' ').expect("a type has a word");
            assert_eq!(name, family, "the type follows its help");
            word.clone_into(&mut kind);
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
            let name = series.split('{').next().unwrap_or_default();
            let ending = name.strip_prefix(family.as_str()).expect("samples stay together");
            let expected: &[&str] = match kind.as_str() {
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(expected.contains(&ending), "{line} in a {kind}");
            let value = value.parse().expect("a value is a number");
            assert!(
                samples.insert(series.to_owned(), value).is_none(),
                "{series} twice"
            );
        }
    }
    samples
}

#[test]
fn a_series_is_on_the_page_as_long_as_somebody_holds_it() {
    let registry = Registry::new();
    let family = registry.counter("a_total", "Things.", ["kind"]).unwrap();
    let one = family.with(["one"]);
    let clone = one.clone();
    one.add(3);
    drop(one);
    assert_eq!(
        parse(&registry.render()),
        Samples::from([(r#"a_total{kind="one"}"#.into(), 3.0)])
    );
    drop(clone);
    assert_eq!(parse(&registry.render()), Samples::new());
    assert_eq!(family.with(["one"]).get(), 0, "its cells start at zero again");
}

#[test]
fn the_same_labels_are_the_same_series_and_count_on() {
    let registry = Registry::new();
    let family = registry.counter("a_total", "Things.", ["kind"]).unwrap();
    let old = family.with(["one"]);
    old.inc();
    let new = registry
        .counter("a_total", "Things.", ["kind"])
        .unwrap()
        .with(["one"]);
    drop(old);
    new.inc();
    assert_eq!(new.get(), 2);
    assert_eq!(parse(&registry.render())[r#"a_total{kind="one"}"#], 2.0);
}

#[test]
fn a_name_stands_for_one_metric() {
    let registry = Registry::new();
    registry.counter("a_total", "Things.", ["kind"]).unwrap();
    assert!(registry.counter("a_total", "Things.", ["sort"]).is_err());
    assert!(registry.gauge("a", "Things.", ["kind"]).is_err());
    registry.histogram("b", "Sizes.", ["kind"], &[1.0]).unwrap();
    assert!(registry.histogram("b", "Sizes.", ["kind"], &[2.0]).is_err());
    assert!(registry.histogram("b", "Sizes.", ["kind"], &[1.0]).is_ok());
}

#[test]
fn gauges_are_counted_on_any_thread_or_asked_for() {
    let registry = Registry::new();
    let count = registry.gauge("count", "Things.", []).unwrap().with([]);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..5).for_each(|_| count.inc()));
        scope.spawn(|| (0..7).for_each(|_| count.dec()));
    });
    let probes = registry.probe("probe", "Answer.", ["a"]).unwrap();
    let _old = probes.ask(["1"], || 41.0);
    let _new = probes.ask(["1"], || 42.0);
    let page = parse(&registry.render());
    let value = |name: &str| page.iter().find(|(it, _)| it.starts_with(name)).map(|it| *it.1);
    assert_eq!(["count", "probe"].map(value), [Some(-2.0), Some(42.0)]);
}

#[test]
fn a_histogram_counts_up_to_and_including_its_bounds() {
    let registry = Registry::new();
    let bounds = [2.0, 1.0, f64::INFINITY, 1.0];
    let histogram = registry
        .histogram("size", "Sizes.", ["a"], &bounds)
        .unwrap()
        .with(["x"]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| [0.5, 1.0, 1.5, 2.0, 9.0].map(|value| histogram.observe(value)));
        }
    });
    let page = parse(&registry.render());
    let expected = [
        (r#"size_bucket{le="1.0",a="x"}"#, 8.0),
        (r#"size_bucket{le="2.0",a="x"}"#, 16.0),
        (r#"size_bucket{le="+Inf",a="x"}"#, 20.0),
        (r#"size_count{a="x"}"#, 20.0),
        (r#"size_sum{a="x"}"#, 56.0),
    ];
    assert_eq!(
        page,
        expected.map(|(name, value)| (name.to_owned(), value)).into()
    );
    histogram.observe(f64::NAN);
    assert_eq!((histogram.count(), histogram.sum()), (21, 56.0));
}

#[test]
fn everything_that_is_told_of_a_plugin_is_on_the_page() {
    let registry = Registry::new();
    let plugin = PluginFamilies::new(&registry).unwrap().plugin("default/waf");
    plugin.called("request_head", Duration::from_micros(3));
    plugin.called("log", Duration::from_millis(2));
    plugin.failed("start");
    let filter = plugin.filter("default/routes/waf");
    filter.failed("trap");
    filter.failed("trap");
    plugin.started_cold();
    plugin.recycled("age");
    let instance = plugin.instance();
    drop(plugin.instance());
    plugin.called_out("ok");
    plugin.dropped_log_lines(5);
    let _kv = plugin.kv_bytes(|| 1234);
    plugin.compared(Comparison::Equal);
    plugin.compared(Comparison::Equal);
    plugin.compared(Comparison::Differing);
    plugin.watch_crash_loop(|| true);
    let page = parse(&registry.render());
    for (series, value) in [
        (
            r#"weir_plugin_call_duration_seconds_count{plugin="default/waf",phase="log"}"#,
            1.0,
        ),
        (
            r#"weir_plugin_call_duration_seconds_sum{plugin="default/waf",phase="log"}"#,
            0.002,
        ),
        (
            r#"weir_plugin_call_duration_seconds_bucket{le="0.0000025",plugin="default/waf",phase="request_head"}"#,
            0.0,
        ),
        (
            r#"weir_plugin_call_duration_seconds_bucket{le="0.000005",plugin="default/waf",phase="request_head"}"#,
            1.0,
        ),
        (
            r#"weir_plugin_faults_total{plugin="default/waf",reason="start"}"#,
            1.0,
        ),
        (
            r#"weir_plugin_faults_total{plugin="default/waf",reason="trap"}"#,
            2.0,
        ),
        (
            r#"weir_filter_faults_total{plugin="default/waf",filter="default/routes/waf",reason="trap"}"#,
            2.0,
        ),
        (r#"weir_plugin_cold_starts_total{plugin="default/waf"}"#, 1.0),
        (
            r#"weir_plugin_recycles_total{plugin="default/waf",cause="age"}"#,
            1.0,
        ),
        (r#"weir_plugin_instances{plugin="default/waf"}"#, 1.0),
        (
            r#"weir_plugin_callouts_total{plugin="default/waf",result="ok"}"#,
            1.0,
        ),
        (
            r#"weir_plugin_log_lines_dropped_total{plugin="default/waf"}"#,
            5.0,
        ),
        (r#"weir_plugin_kv_bytes{plugin="default/waf"}"#, 1234.0),
        (
            r#"weir_plugin_shadow_decisions_total{plugin="default/waf",comparison="equal"}"#,
            2.0,
        ),
        (
            r#"weir_plugin_shadow_decisions_total{plugin="default/waf",comparison="differing"}"#,
            1.0,
        ),
        (r#"weir_plugin_crash_loop{plugin="default/waf"}"#, 1.0),
    ] {
        assert_eq!(page.get(series), Some(&value), "{series} of {page:#?}");
    }
    drop(instance);
    drop(filter);
    let page = parse(&registry.render());
    assert!(!page.keys().any(|series| series.starts_with("weir_filter_faults")));
    assert_eq!(page[r#"weir_plugin_instances{plugin="default/waf"}"#], 0.0);
}

#[test]
fn a_plugin_that_is_gone_is_no_longer_on_the_page() {
    let registry = Registry::new();
    let families = PluginFamilies::new(&registry).unwrap();
    let old = families.plugin("p");
    old.called("log", Duration::ZERO);
    let old_filter = old.filter("f");
    old_filter.failed("trap");
    let guests = GuestMetrics::for_plugin(&registry, "p", 10);
    guests.add("x", &[], 1).unwrap();
    guests.add("X", &[], 1).unwrap_err();
    let new = families.plugin("p");
    let new_filter = new.filter("f");
    drop((old, old_filter));
    new.called("log", Duration::ZERO);
    new_filter.failed("trap");
    let page = parse(&registry.render());
    let calls = r#"weir_plugin_call_duration_seconds_count{plugin="p",phase="log"}"#;
    assert_eq!(page[calls], 2.0);
    assert_eq!(
        page[r#"weir_filter_faults_total{plugin="p",filter="f",reason="trap"}"#],
        2.0
    );
    drop((new, new_filter, guests));
    assert_eq!(parse(&registry.render()), Samples::new());
}

#[test]
fn every_metric_is_documented() {
    let document = include_str!("../../../docs/operate/metrics.md");
    let registry = Registry::new();
    let plugin = PluginFamilies::new(&registry).unwrap().plugin("p");
    plugin.called("log", Duration::ZERO);
    plugin.recycled("age");
    plugin.called_out("ok");
    plugin.filter("f").failed("trap");
    let filter = plugin.filter("f");
    filter.failed("trap");
    let _kv = plugin.kv_bytes(|| 0);
    let _limit = plugin.limit("callouts", 16.0);
    let guests = GuestMetrics::for_plugin(&registry, "p", 10);
    guests.add("A", &[], 1).unwrap_err();
    let page = registry.render();
    let mut seen = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let name = if kind == "counter" {
            format!("{name}_total")
        } else {
            name.to_owned()
        };
        let row = document
            .lines()
            .find(|row| row.starts_with(&format!("| `{name}` |")));
        assert!(
            row.is_some_and(|row| row.contains(kind)),
            "{name} {kind}: {row:?}"
        );
        seen += 1;
    }
    assert_eq!(seen, 13);
}

//! Plugins that define metrics, well and badly.

use super::*;

fn lines(registry: &Registry, beginning: &str) -> Vec<String> {
    let page = registry.render();
    let mut lines: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with(beginning))
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

fn refused(registry: &Registry) -> Vec<String> {
    lines(registry, "weir_plugin_metrics_refused_total")
}

#[test]
fn a_plugin_defines_counters_gauges_and_histograms_by_using_them() {
    let registry = Registry::new();
    let plugin = GuestMetrics::for_plugin(&registry, "default/geo", DEFAULT_SERIES);
    plugin.add("hits", &[("country", "ch")], 2).unwrap();
    plugin.add("hits_total", &[("country", "ch")], 3).unwrap();
    plugin.set("table_age_seconds", &[], 1.5).unwrap();
    plugin.set("table_age_seconds", &[], -2.0).unwrap();
    plugin.observe("lookup_seconds", &[], 0.02).unwrap();
    assert_eq!(
        lines(&registry, "weir_guest_hits"),
        [r#"weir_guest_hits_total{plugin="default/geo",country="ch"} 5"#]
    );
    assert_eq!(
        lines(&registry, "weir_guest_table"),
        [r#"weir_guest_table_age_seconds{plugin="default/geo"} -2.0"#]
    );
    let histogram = lines(&registry, "weir_guest_lookup");
    assert_eq!(histogram.len(), 18);
    for line in [
        r#"weir_guest_lookup_seconds_bucket{le="0.01",plugin="default/geo"} 0"#,
        r#"weir_guest_lookup_seconds_bucket{le="0.025",plugin="default/geo"} 1"#,
        r#"weir_guest_lookup_seconds_bucket{le="+Inf",plugin="default/geo"} 1"#,
        r#"weir_guest_lookup_seconds_count{plugin="default/geo"} 1"#,
        r#"weir_guest_lookup_seconds_sum{plugin="default/geo"} 0.02"#,
    ] {
        assert!(histogram.iter().any(|it| it == line), "{line} of {histogram:#?}");
    }
    assert_eq!(refused(&registry), [""; 0]);
}

#[test]
fn labels_in_another_order_are_the_same_series() {
    let registry = Registry::new();
    let plugin = GuestMetrics::for_plugin(&registry, "p", 10);
    plugin.add("hits", &[("a", "1"), ("b", "2")], 1).unwrap();
    plugin.add("hits", &[("b", "2"), ("a", "1")], 1).unwrap();
    plugin.add("hits", &[("a", "2"), ("b", "1")], 1).unwrap();
    assert_eq!(
        lines(&registry, "weir_guest_hits"),
        [
            r#"weir_guest_hits_total{plugin="p",a="1",b="2"} 2"#,
            r#"weir_guest_hits_total{plugin="p",a="2",b="1"} 1"#,
        ]
    );
}

#[test]
fn a_label_that_is_given_twice_is_no_way_to_another_series() {
    let registry = Registry::new();
    let plugin = GuestMetrics::for_plugin(&registry, "p", 10);
    plugin.add("hits", &[("a", "1"), ("b", "2")], 1).unwrap();
    for labels in [[("a", "1"), ("a", "1")], [("a", "1"), ("a", "2")]] {
        assert_eq!(plugin.add("hits", &labels, 1), Err(Refused::Label));
    }
    assert_eq!(lines(&registry, "weir_guest_hits").len(), 1);
}

#[test]
fn a_kind_holds_from_the_first_use_on_for_this_plugin_alone() {
    let registry = Registry::new();
    let one = GuestMetrics::for_plugin(&registry, "one", 100);
    let other = GuestMetrics::for_plugin(&registry, "other", 100);
    one.add("x", &[], 1).unwrap();
    assert_eq!(one.set("x", &[], 1.0), Err(Refused::Kind));
    assert_eq!(one.observe("x", &[("new", "labels")], 1.0), Err(Refused::Kind));
    other.set("x", &[], 7.0).unwrap();
    assert_eq!(
        refused(&registry),
        [r#"weir_plugin_metrics_refused_total{plugin="one",reason="kind"} 2"#]
    );
}

#[test]
fn plugins_that_disagree_about_a_kind_keep_the_names_of_their_samples() {
    let samples = |plugins: &[&str]| {
        let registry = Registry::new();
        let made: Vec<_> = plugins
            .iter()
            .map(|plugin| {
                let metrics = GuestMetrics::for_plugin(&registry, plugin, 100);
                match *plugin {
                    "counting" => metrics.add("x", &[("a", "1")], 4),
                    "setting" => metrics.set("x", &[("a", "1")], 4.0),
                    _ => metrics.observe("x", &[("a", "1")], 4.0),
                }
                .unwrap();
                metrics
            })
            .collect();
        let types = lines(&registry, "# TYPE weir_guest");
        // A counter is written as a whole number, and elsewhere as a double; to a reader it is the same.
        let samples: Vec<_> = lines(&registry, "weir_guest")
            .into_iter()
            .map(|line| line.trim_end_matches(".0").to_owned())
            .collect();
        drop(made);
        (types, samples)
    };
    let alone: Vec<_> = ["counting", "observing", "setting"]
        .map(|plugin| samples(&[plugin]))
        .into();
    let mut expected: Vec<_> = alone.into_iter().flat_map(|(_, samples)| samples).collect();
    expected.sort();
    let (types, together) = samples(&["counting", "observing", "setting"]);
    assert_eq!(together, expected);
    assert_eq!(
        types,
        [
            "# TYPE weir_guest_x gauge",
            "# TYPE weir_guest_x_bucket unknown",
            "# TYPE weir_guest_x_count unknown",
            "# TYPE weir_guest_x_sum unknown",
            "# TYPE weir_guest_x_total unknown",
        ]
    );
}

#[test]
fn names_that_could_mislead_are_refused() {
    let registry = Registry::new();
    let plugin = GuestMetrics::for_plugin(&registry, "p", 100);
    let long = "n".repeat(65);
    for name in ["", "_total", "1a", "A", "a-b", "a.b", "a b", "é", "a\n", &*long] {
        assert_eq!(plugin.add(name, &[], 1), Err(Refused::Name), "{name}");
    }
    for name in ["a_total", "a_bucket", "a_sum", "a_count", "a_created"] {
        assert_eq!(plugin.set(name, &[], 1.0), Err(Refused::Name), "{name}");
    }
    for name in ["_", "a_1", &long[1..]] {
        plugin.add(name, &[], 1).unwrap();
    }
    assert_eq!(
        refused(&registry),
        [r#"weir_plugin_metrics_refused_total{plugin="p",reason="name"} 15"#]
    );
}

#[test]
fn labels_that_could_mislead_are_refused() {
    let registry = Registry::new();
    let plugin = GuestMetrics::for_plugin(&registry, "p", 100);
    for name in ["", "plugin", "le", "quantile", "__name__", "a-b", "A", "0"] {
        assert_eq!(plugin.add("x", &[(name, "1")], 1), Err(Refused::Label), "{name}");
    }
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let labels = names.map(|name| (name, "1"));
    assert_eq!(plugin.add("x", &labels, 1), Err(Refused::Label));
    plugin.add("x", &labels[1..], 1).unwrap();
    let value = "é".repeat(64);
    plugin.add("x", &[("a", &value)], 1).unwrap();
    let value = format!("{value}!");
    assert_eq!(plugin.add("x", &[("a", &value)], 1), Err(Refused::LabelValue));
}

#[test]
fn values_that_are_not_finite_are_refused() {
    let registry = Registry::new();
    let plugin = GuestMetrics::for_plugin(&registry, "p", 100);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(plugin.set("x", &[], value), Err(Refused::Number));
        assert_eq!(plugin.observe("x", &[], value), Err(Refused::Number));
    }
    assert_eq!(lines(&registry, "weir_guest"), [""; 0]);
}

#[test]
fn what_a_label_says_cannot_break_the_page() {
    let registry = Registry::new();
    let plugin = GuestMetrics::for_plugin(&registry, "p", 100);
    plugin.add("x", &[("a", "\"} 1\nweir_up 1\\")], 1).unwrap();
    assert_eq!(
        lines(&registry, "weir_"),
        [r#"weir_guest_x_total{plugin="p",a="\"} 1\nweir_up 1\\"} 1"#]
    );
}

#[test]
fn no_more_lines_than_the_limit_and_a_histogram_takes_all_of_its_own() {
    let registry = Registry::new();
    let plugin = GuestMetrics::for_plugin(&registry, "p", 20);
    plugin.observe("sizes", &[], 1.0).unwrap();
    let histogram = lines(&registry, "weir_guest").len();
    assert_eq!(histogram, 16);
    let made = (0..10)
        .filter(|number| plugin.add("x", &[("n", &number.to_string())], 1).is_ok())
        .count();
    assert_eq!(made, 20 - histogram);
    assert_eq!(plugin.add("x", &[("n", "9")], 1), Err(Refused::Limit));
    plugin.add("x", &[("n", "0")], 1).unwrap();
    assert_eq!(lines(&registry, "weir_guest").len(), 20);
    assert_eq!(
        refused(&registry),
        [r#"weir_plugin_metrics_refused_total{plugin="p",reason="limit"} 7"#]
    );
}

#[test]
fn threads_that_define_the_same_series_at_once_share_it() {
    let registry = Registry::new();
    let plugin = GuestMetrics::for_plugin(&registry, "p", 50);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for number in 0..5_000 {
                    let label = (number % 50).to_string();
                    plugin.add("x", &[("n", &label)], 1).unwrap();
                }
            });
        }
    });
    let found = lines(&registry, "weir_guest_x");
    assert_eq!(found.len(), 50);
    assert!(found.iter().all(|line| line.ends_with(" 800")), "{found:#?}");
}

#[test]
fn the_next_generation_goes_on_counting_and_the_last_one_takes_the_series_along() {
    let registry = Registry::new();
    let old = GuestMetrics::for_plugin(&registry, "p", 1);
    old.add("x", &[], 1).unwrap();
    let new = GuestMetrics::for_plugin(&registry, "p", 2);
    drop(old);
    new.add("x", &[], 1).unwrap();
    new.add("y", &[], 1).unwrap();
    assert_eq!(
        lines(&registry, "weir_guest_x"),
        [r#"weir_guest_x_total{plugin="p"} 2"#]
    );
    drop(new);
    assert_eq!(registry.render(), "# EOF\n");
    let again = GuestMetrics::for_plugin(&registry, "p", 2);
    again.add("x", &[], 1).unwrap();
    assert_eq!(
        lines(&registry, "weir_guest_x"),
        [r#"weir_guest_x_total{plugin="p"} 1"#]
    );
}

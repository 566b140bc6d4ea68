//! What the gateway measures of each plugin. Which phases, reasons, causes and results there are is said by those who
//! report them.

use std::sync::Arc;
use std::time::Duration;

use crate::counter::{Counter, CounterFamily, Sum};
use crate::gauge::{Gauge, GaugeFamily, Probe, ProbeFamily};
use crate::histogram::{Buckets, HistogramFamily};
use crate::named::Named;
use crate::registry::{Conflict, Registry};
use crate::word::Words;

/// Upper bounds for the time of a call, in seconds: a header policy takes a microsecond, a callout a second.
const CALL_SECONDS: [f64; 17] = [
    1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 10.0,
];

/// The metrics that every plugin has. Made once for a registry; clones are the same.
#[derive(Clone, Debug)]
pub struct PluginFamilies(Arc<Families>);

#[derive(Debug)]
struct Families {
    plugins: Named<Inner>,
    call_seconds: HistogramFamily<2>,
    faults: CounterFamily<2>,
    filter_faults: CounterFamily<3>,
    cold_starts: CounterFamily<1>,
    recycles: CounterFamily<2>,
    instances: GaugeFamily<1>,
    callouts: CounterFamily<2>,
    log_lines_dropped: CounterFamily<1>,
    kv_bytes: ProbeFamily<1>,
    limits: ProbeFamily<2>,
    shadow: CounterFamily<2>,
    crash_loop: ProbeFamily<1>,
}

/// One plugin's metrics. Clones are the same, and so are those of the next generation with the same name: as long as
/// one of them lives, what is counted goes on.
#[derive(Clone, Debug)]
pub struct PluginTelemetry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    plugin: Box<str>,
    families: PluginFamilies,
    filters: Named<Faults>,
    call_seconds: Words<Buckets>,
    faults: Words<Sum>,
    cold_starts: Counter,
    recycles: Words<Sum>,
    instances: Gauge,
    callouts: Words<Sum>,
    log_lines_dropped: Counter,
    equal: Counter,
    differing: Counter,
    crash_loop: Probe,
}

/// One filter's part of its plugin's metrics; clones and later generations are the same, as for plugins. A filter has
/// series of its own only once it failed.
#[derive(Clone, Debug)]
pub struct FilterTelemetry {
    plugin: PluginTelemetry,
    own: Arc<Faults>,
}

/// A filter's failures by reason.
#[derive(Debug)]
struct Faults(Words<Sum>);

/// Counts as an instance that is there, until it is dropped.
#[derive(Debug)]
pub struct LiveInstance(Gauge);

/// What the old and the new generation made of the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Equal,
    /// Something else.
    Differing,
}

impl PluginFamilies {
    /// Registers them.
    ///
    /// # Errors
    /// When one of the names stands for something else in this registry.
    pub fn new(registry: &Registry) -> Result<Self, Conflict> {
        Ok(Self(Arc::new(Families {
            plugins: Named::default(),
            call_seconds: registry.histogram(
                "weir_plugin_call_duration_seconds",
                "Time of a call by the clock, host functions included.",
                ["plugin", "phase"],
                &CALL_SECONDS,
            )?,
            faults: registry.counter(
                "weir_plugin_faults_total",
                "Failures of a plugin, by reason.",
                ["plugin", "reason"],
            )?,
            filter_faults: registry.counter(
                "weir_filter_faults_total",
                "Failures of a filter, by reason; only filters that failed have a series.",
                ["plugin", "filter", "reason"],
            )?,
            cold_starts: registry.counter(
                "weir_plugin_cold_starts_total",
                "Instances that were made because no warm one was free.",
                ["plugin"],
            )?,
            recycles: registry.counter(
                "weir_plugin_recycles_total",
                "Instances that were given up, by cause.",
                ["plugin", "cause"],
            )?,
            instances: registry.gauge(
                "weir_plugin_instances",
                "Instances that are there, idle or in use, over all workers.",
                ["plugin"],
            )?,
            callouts: registry.counter(
                "weir_plugin_callouts_total",
                "Calls of a plugin to its backends, by result.",
                ["plugin", "result"],
            )?,
            log_lines_dropped: registry.counter(
                "weir_plugin_log_lines_dropped_total",
                "Log lines of a plugin beyond its rate.",
                ["plugin"],
            )?,
            kv_bytes: registry.probe(
                "weir_plugin_kv_bytes",
                "Bytes that a plugin's entries of the key-value store count for in its quota.",
                ["plugin"],
            )?,
            limits: registry.probe(
                "weir_plugin_limit",
                "What a plugin's filters may use, unless they narrow it.",
                ["plugin", "limit"],
            )?,
            shadow: registry.counter(
                "weir_plugin_shadow_decisions_total",
                "Decisions of a shadowing generation beside those of the live one.",
                ["plugin", "comparison"],
            )?,
            crash_loop: registry.probe(
                "weir_plugin_crash_loop",
                "1 while starts of a plugin wait because it keeps failing, else 0.",
                ["plugin"],
            )?,
        })))
    }

    /// The metrics of the plugin `namespace/name`.
    pub fn plugin(&self, plugin: &str) -> PluginTelemetry {
        PluginTelemetry(self.0.plugins.get(plugin, || Inner::new(self, plugin)))
    }
}

impl PluginTelemetry {
    /// A call of `phase` ended, well or not.
    pub fn called(&self, phase: &'static str, took: Duration) {
        let took = took.as_secs_f64();
        self.0.call_seconds.with(phase, |it| it.observe(took));
    }

    /// The plugin failed outside of any filter, such as at its load.
    pub fn failed(&self, reason: &'static str) {
        self.0.faults.with(reason, Counter::inc);
    }

    /// An instance was made because no warm one was free.
    pub fn started_cold(&self) {
        self.0.cold_starts.inc();
    }

    /// An instance was given up.
    pub fn recycled(&self, cause: &'static str) {
        self.0.recycles.with(cause, Counter::inc);
    }

    /// Counts one more instance, as long as the answer is kept.
    #[must_use = "the instance counts until this is dropped"]
    pub fn instance(&self) -> LiveInstance {
        self.0.instances.inc();
        LiveInstance(self.0.instances.clone())
    }

    /// A callout ended.
    pub fn called_out(&self, result: &'static str) {
        self.0.callouts.with(result, Counter::inc);
    }

    /// So many log lines were dropped.
    pub fn dropped_log_lines(&self, lines: u64) {
        self.0.log_lines_dropped.add(lines);
    }

    /// Shows what `bytes` answers as the plugin's share of the key-value store, as long as the answer is kept.
    #[must_use = "the series ends when this is dropped"]
    pub fn kv_bytes(&self, bytes: impl Fn() -> u64 + Send + Sync + 'static) -> Probe {
        #[expect(
            clippy::cast_precision_loss,
            reason = "the page has doubles; a quota is far below 2^53 bytes"
        )]
        self.0
            .families
            .0
            .kv_bytes
            .ask([&self.0.plugin], move || bytes() as f64)
    }

    /// Shows one of the plugin's limits, as long as the answer is kept.
    #[must_use = "the series ends when this is dropped"]
    pub fn limit(&self, name: &'static str, value: f64) -> Probe {
        let limits = &self.0.families.0.limits;
        limits.ask([&self.0.plugin, name], move || value)
    }

    /// A shadowing generation was compared with the live one.
    pub fn compared(&self, comparison: Comparison) {
        match comparison {
            Comparison::Equal => self.0.equal.inc(),
            Comparison::Differing => self.0.differing.inc(),
        }
    }

    /// From now on `waits` says whether starts are held back because the plugin keeps failing, whoever said it before.
    pub fn watch_crash_loop(&self, waits: impl Fn() -> bool + Send + Sync + 'static) {
        self.0.crash_loop.ask(move || f64::from(u8::from(waits())));
    }

    /// The part of one filter.
    pub fn filter(&self, filter: &str) -> FilterTelemetry {
        let make = || {
            let family = self.0.families.0.filter_faults.clone();
            let (plugin, filter) = (self.0.plugin.clone(), Box::<str>::from(filter));
            Faults(Words::new(move |reason| family.with([&plugin, &filter, reason])))
        };
        FilterTelemetry {
            plugin: self.clone(),
            own: self.0.filters.get(filter, make),
        }
    }
}

impl FilterTelemetry {
    /// The filter failed, and with it its plugin: both are counted.
    pub fn failed(&self, reason: &'static str) {
        self.own.0.with(reason, Counter::inc);
        self.plugin.failed(reason);
    }
}

impl Drop for LiveInstance {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Inner {
    fn new(families: &PluginFamilies, plugin: &str) -> Self {
        let all = &families.0;
        let words = |family: &CounterFamily<2>| {
            let (family, plugin) = (family.clone(), Box::<str>::from(plugin));
            Words::new(move |word| family.with([&plugin, word]))
        };
        let (call_seconds, of) = (all.call_seconds.clone(), Box::<str>::from(plugin));
        Self {
            plugin: plugin.into(),
            families: families.clone(),
            filters: Named::default(),
            call_seconds: Words::new(move |phase| call_seconds.with([&of, phase])),
            faults: words(&all.faults),
            cold_starts: all.cold_starts.with([plugin]),
            recycles: words(&all.recycles),
            instances: all.instances.with([plugin]),
            callouts: words(&all.callouts),
            log_lines_dropped: all.log_lines_dropped.with([plugin]),
            equal: all.shadow.with([plugin, "equal"]),
            differing: all.shadow.with([plugin, "differing"]),
            crash_loop: all.crash_loop.ask([plugin], || 0.0),
        }
    }
}

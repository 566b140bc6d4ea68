//! Metrics that plugins define while they run.
//!
//! They are named `weir_guest_<name>` and have the label `plugin`. An update finds its series in a table of its own
//! thread; only what a thread has not met before takes a lock. Every plugin has its own limit and its own kinds, so
//! that none can take a name or a place from another.

mod page;
mod rule;
mod series;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::RwLock;
use prometheus_client::encoding::DescriptorEncoder;
use thread_local::ThreadLocal;

pub use self::rule::Refused;
use self::series::{Kind, Measure, Series};
use crate::cell::Arena;
use crate::counter::{Counter, CounterFamily, Sum};
use crate::family::{AnyFamily, Core};
use crate::named::Named;
use crate::registry::Registry;
use crate::word::Words;

/// Series that a plugin may have unless it is told otherwise.
pub const DEFAULT_SERIES: usize = 1000;

/// The metrics of all plugins of a registry.
#[derive(Debug)]
pub struct GuestMetrics {
    arena: Arc<Arena>,
    plugins: Named<PluginMetrics>,
    refused: Arc<Core<Sum>>,
}

/// The metrics that one plugin defines. They end with the last one who holds this.
pub struct PluginMetrics {
    plugin: Box<str>,
    limit: AtomicUsize,
    hasher: DefaultHashBuilder,
    arena: Arc<Arena>,
    all: RwLock<All>,
    /// What this thread has met before.
    met: ThreadLocal<RefCell<HashTable<Arc<Series>>>>,
    refused: Words<Sum>,
}

#[derive(Default)]
struct All {
    series: HashTable<Arc<Series>>,
    kinds: BTreeMap<Box<str>, Kind>,
    /// Lines of the page, which is what the limit counts.
    lines: usize,
}

impl GuestMetrics {
    /// The metrics of the plugin `namespace/name`: those that are there if somebody holds them, such as the generation
    /// that is being replaced. `limit` bounds its lines on the page, and holds from now on; lines above it stay.
    pub fn for_plugin(registry: &Registry, plugin: &str, limit: usize) -> Arc<PluginMetrics> {
        let guests = registry.guests();
        let metrics = guests.plugins.get(plugin, || PluginMetrics::new(guests, plugin));
        metrics.limit.store(limit, Ordering::Relaxed);
        metrics
    }

    pub(crate) fn new(arena: &Arc<Arena>) -> Self {
        Self {
            arena: Arc::clone(arena),
            plugins: Named::default(),
            refused: Arc::new(Core::new(
                arena,
                "weir_plugin_metrics_refused",
                "Updates of a plugin's own metrics that were refused, by reason.",
                &["plugin", "reason"],
                (),
            )),
        }
    }

    /// What the registry lists like any other family.
    pub(crate) fn refused_family(&self) -> (&'static str, Arc<dyn AnyFamily>) {
        (
            "weir_plugin_metrics_refused",
            Arc::<Core<Sum>>::clone(&self.refused),
        )
    }

    pub(crate) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let plugins = self.plugins.all();
        let series: Vec<(&str, Vec<Arc<Series>>)> = plugins
            .iter()
            .map(|plugin| {
                (
                    &*plugin.plugin,
                    plugin.all.read().series.iter().cloned().collect(),
                )
            })
            .collect();
        page::encode(&series, encoder)
    }
}

impl PluginMetrics {
    /// Adds to a counter.
    ///
    /// # Errors
    /// When the update breaks a rule; it is counted as refused.
    pub fn add(&self, name: &str, labels: &[(&str, &str)], delta: u64) -> Result<(), Refused> {
        // Both ways of naming a counter are in use, and the page adds the ending.
        let stem = name.strip_suffix("_total").unwrap_or(name);
        self.update(Kind::Counter, stem, labels, |measure| measure.add(delta))
    }

    /// Sets a gauge, which all workers share: the last value counts.
    ///
    /// # Errors
    /// When the update breaks a rule, or the value is not finite; it is counted as refused.
    pub fn set(&self, name: &str, labels: &[(&str, &str)], value: f64) -> Result<(), Refused> {
        self.finite(value)?;
        self.update(Kind::Gauge, name, labels, |measure| measure.set(value))
    }

    /// Counts a value in a histogram.
    ///
    /// # Errors
    /// When the update breaks a rule, or the value is not finite; it is counted as refused.
    pub fn observe(&self, name: &str, labels: &[(&str, &str)], value: f64) -> Result<(), Refused> {
        self.finite(value)?;
        self.update(Kind::Histogram, name, labels, |measure| measure.observe(value))
    }

    fn new(guests: &GuestMetrics, plugin: &str) -> Self {
        let family = CounterFamily::<2>::new(Arc::clone(&guests.refused));
        let name = Box::<str>::from(plugin);
        Self {
            plugin: plugin.into(),
            limit: AtomicUsize::new(DEFAULT_SERIES),
            hasher: DefaultHashBuilder::default(),
            arena: Arc::clone(&guests.arena),
            all: RwLock::default(),
            met: ThreadLocal::new(),
            refused: Words::new(move |reason| family.with([&name, reason])),
        }
    }

    fn finite(&self, value: f64) -> Result<(), Refused> {
        if value.is_finite() {
            return Ok(());
        }
        Err(self.refuse(Refused::Number))
    }

    fn update(
        &self,
        kind: Kind,
        name: &str,
        labels: &[(&str, &str)],
        apply: impl FnOnce(&Measure),
    ) -> Result<(), Refused> {
        rule::check_sizes(name, labels).map_err(|refused| self.refuse(refused))?;
        let hash = self.hash(name, labels);
        let mut met = self.met.get_or_default().borrow_mut();
        if let Some(series) = met.find(hash, |it| it.is(name, labels)) {
            if series.measure.kind() != kind {
                return Err(self.refuse(Refused::Kind));
            }
            apply(&series.measure);
            return Ok(());
        }
        let series = self
            .find_or_make(hash, kind, name, labels)
            .map_err(|refused| self.refuse(refused))?;
        apply(&series.measure);
        met.insert_unique(hash, series, |it| it.hash);
        Ok(())
    }

    /// The slow way, once per thread and series, and for everything that is refused.
    fn find_or_make(
        &self,
        hash: u64,
        kind: Kind,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Result<Arc<Series>, Refused> {
        rule::check(kind, name, labels)?;
        if let Some(known) = self.all.read().find(hash, kind, name, labels) {
            return known;
        }
        let limit = self.limit.load(Ordering::Relaxed);
        let mut all = self.all.write();
        // Another thread may have made it in between.
        if let Some(known) = all.find(hash, kind, name, labels) {
            return known;
        }
        let lines = all.lines + kind.lines(name);
        if lines > limit {
            return Err(Refused::Limit);
        }
        let series = Arc::new(Series::new(&self.arena, hash, kind, name, labels));
        all.lines = lines;
        all.kinds.entry(name.into()).or_insert(kind);
        all.series.insert_unique(hash, Arc::clone(&series), |it| it.hash);
        Ok(series)
    }

    /// The same for every order of the labels, as they are the same series.
    fn hash(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let labels = labels.iter().map(|label| self.hasher.hash_one(label));
        labels.fold(self.hasher.hash_one(name), u64::wrapping_add)
    }

    fn refuse(&self, refused: Refused) -> Refused {
        self.refused.with(refused.as_str(), Counter::inc);
        refused
    }
}

impl All {
    /// The series, or why there can be none; nothing where it can be made.
    fn find(
        &self,
        hash: u64,
        kind: Kind,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Option<Result<Arc<Series>, Refused>> {
        if *self.kinds.get(name)? != kind {
            return Some(Err(Refused::Kind));
        }
        let known = self.series.find(hash, |it| it.is(name, labels))?;
        Some(Ok(Arc::clone(known)))
    }
}

impl fmt::Debug for PluginMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginMetrics")
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! What is measured, and the page that shows it. A value that is passed around: there is no global one.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry as Page;

use crate::cell::Arena;
use crate::counter::CounterFamily;
use crate::family::{AnyFamily, Core, Family, Value};
use crate::gauge::{GaugeFamily, ProbeFamily};
use crate::guest::GuestMetrics;
use crate::histogram::{Bounds, HistogramFamily};

/// The `Content-Type` of the page.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of a gateway. Clones are the same registry.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

struct Inner {
    arena: Arc<Arena>,
    families: Mutex<BTreeMap<&'static str, Arc<dyn AnyFamily>>>,
    guests: Arc<GuestMetrics>,
}

/// A name stands for two different metrics.
#[derive(Debug, thiserror::Error)]
#[error(
    "the metric {name} is registered with another kind, other labels or other buckets: give one of the two another name"
)]
pub struct Conflict {
    /// The metric's name.
    pub name: &'static str,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// A registry without metrics.
    pub fn new() -> Self {
        let arena = Arc::default();
        let guests = Arc::new(GuestMetrics::new(&arena));
        let families = BTreeMap::from([guests.refused_family()]);
        Self(Arc::new(Inner {
            arena,
            families: Mutex::new(families),
            guests,
        }))
    }

    /// Counters named `name`, which ends with `_total`, with these labels. The same registration twice is one family.
    ///
    /// # Errors
    /// When `name` stands for something else already.
    pub fn counter<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Result<CounterFamily<N>, Conflict> {
        self.family(name, help, labels, ())
    }

    /// Gauges that are counted up and down; see [`Registry::counter`].
    ///
    /// # Errors
    /// When `name` stands for something else already.
    pub fn gauge<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Result<GaugeFamily<N>, Conflict> {
        self.family(name, help, labels, ())
    }

    /// Gauges that are asked for when the page is written; see [`Registry::counter`].
    ///
    /// # Errors
    /// When `name` stands for something else already.
    pub fn probe<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Result<ProbeFamily<N>, Conflict> {
        self.family(name, help, labels, ())
    }

    /// Histograms whose buckets have these upper bounds; see [`Registry::counter`].
    ///
    /// # Errors
    /// When `name` stands for something else already.
    pub fn histogram<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
        bounds: &[f64],
    ) -> Result<HistogramFamily<N>, Conflict> {
        self.family(name, help, labels, Bounds::new(bounds))
    }

    /// The page, in the text form of OpenMetrics, which is [`CONTENT_TYPE`]. Adds up every thread's numbers; stops no
    /// worker.
    pub fn render(&self) -> String {
        let mut page = Page::default();
        page.register_collector(Box::new(self.clone()));
        let mut written = String::new();
        // Writing to a string cannot fail, and nothing below fails by itself.
        let _ = text::encode(&mut written, &page);
        written
    }

    pub(crate) fn guests(&self) -> &Arc<GuestMetrics> {
        &self.0.guests
    }

    fn family<V: Value, const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
        shape: V::Shape,
    ) -> Result<Family<V, N>, Conflict> {
        // The ending belongs to the samples of a counter; the page adds it.
        let stem = name.strip_suffix("_total").unwrap_or(name);
        let mut families = self.0.families.lock();
        let Some(known) = families.get(stem) else {
            let core = Arc::new(Core::new(&self.0.arena, stem, help, &labels, shape));
            families.insert(stem, Arc::<Core<V>>::clone(&core));
            return Ok(Family::new(core));
        };
        let known: Arc<dyn Any + Send + Sync> = Arc::<dyn AnyFamily>::clone(known);
        match known.downcast::<Core<V>>() {
            Ok(core) if core.is(&labels, &shape) => Ok(Family::new(core)),
            _ => Err(Conflict { name }),
        }
    }
}

impl Collector for Registry {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let families: Vec<_> = self.0.families.lock().values().cloned().collect();
        for family in families {
            family.encode(&mut encoder)?;
        }
        self.0.guests.encode(&mut encoder)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

//! A metric with its label names, and its series: one per set of label values, for as long as somebody holds it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, LabelSetEncoder, MetricEncoder,
};
use prometheus_client::metrics::MetricType;

use crate::cell::Arena;

/// What a series holds: how it is made, and how it is written.
pub trait Value: fmt::Debug + Send + Sync + Sized + 'static {
    /// What all series of a family have in common.
    type Shape: Clone + PartialEq + Send + Sync + 'static;

    #[doc(hidden)]
    const TYPE: MetricType;

    #[doc(hidden)]
    fn make(arena: &Arc<Arena>, shape: &Self::Shape) -> Self;

    #[doc(hidden)]
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result;
}

/// A series that can be updated. Clones are the same series, and cheap.
///
/// The series leaves the page when the last clone is dropped. Until then [`Family::with`] gives the same series for
/// the same labels, so that what replaces an owner goes on counting where that stopped.
#[derive(Debug)]
pub struct Handle<V: Value>(Arc<Series<V>>);

/// A metric whose series differ by the values of `N` labels.
#[derive(Debug)]
pub struct Family<V: Value, const N: usize>(Arc<Core<V>>);

/// What a family is, without the number of its labels.
pub(crate) struct Core<V: Value> {
    name: &'static str,
    help: &'static str,
    labels: Vec<&'static str>,
    shape: V::Shape,
    arena: Arc<Arena>,
    series: Mutex<BTreeMap<LabelValues, Weak<Series<V>>>>,
}

/// In the order of the family's labels.
type LabelValues = Vec<Box<str>>;

#[derive(Debug)]
struct Series<V: Value> {
    value: V,
    labels: LabelValues,
    family: Arc<Core<V>>,
}

/// A family of any kind, for the page.
pub(crate) trait AnyFamily: Any + Send + Sync {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result;
}

impl<V: Value, const N: usize> Family<V, N> {
    /// The series with these label values, in the order in which the family names its labels. Takes a lock: call it
    /// when an owner is made, never per update.
    pub fn with(&self, values: [&str; N]) -> Handle<V> {
        let key: LabelValues = values.iter().map(|value| (*value).into()).collect();
        let mut all = self.0.series.lock();
        if let Some(series) = all.get(&key).and_then(Weak::upgrade) {
            return Handle(series);
        }
        let series = Arc::new(Series {
            value: V::make(&self.0.arena, &self.0.shape),
            labels: key.clone(),
            family: Arc::clone(&self.0),
        });
        all.insert(key, Arc::downgrade(&series));
        Handle(series)
    }

    pub(crate) const fn new(core: Arc<Core<V>>) -> Self {
        Self(core)
    }
}

impl<V: Value, const N: usize> Clone for Family<V, N> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: Value> Handle<V> {
    pub(crate) fn value(&self) -> &V {
        &self.0.value
    }
}

impl<V: Value> Clone for Handle<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: Value> Drop for Series<V> {
    fn drop(&mut self) {
        let mut all = self.family.series.lock();
        // Somebody may have asked for the same labels since the last handle went.
        if all.get(&self.labels).is_some_and(|it| it.strong_count() == 0) {
            all.remove(&self.labels);
        }
    }
}

impl<V: Value> Core<V> {
    pub(crate) fn new(
        arena: &Arc<Arena>,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
        shape: V::Shape,
    ) -> Self {
        Self {
            name,
            help,
            labels: labels.to_vec(),
            shape,
            arena: Arc::clone(arena),
            series: Mutex::default(),
        }
    }

    /// Whether a second registration means the same metric.
    pub(crate) fn is(&self, labels: &[&'static str], shape: &V::Shape) -> bool {
        self.labels == labels && self.shape == *shape
    }
}

impl<V: Value> AnyFamily for Core<V> {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        // Dropped after the lock: each may turn out to be the last one.
        let all: Vec<_> = self.series.lock().values().filter_map(Weak::upgrade).collect();
        if all.is_empty() {
            return Ok(());
        }
        let mut encoder = encoder.encode_descriptor(self.name, self.help, None, V::TYPE)?;
        for series in &all {
            let pairs = self.labels.iter().copied();
            let labels = Labels(
                pairs
                    .zip(&series.labels)
                    .map(|(name, value)| (name, &**value))
                    .collect(),
            );
            series.value.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl<V: Value> fmt::Debug for Core<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("name", &self.name).finish()
    }
}

/// Label names with their values, as they are written.
#[derive(Debug)]
pub(crate) struct Labels<'a>(pub(crate) Vec<(&'a str, &'a str)>);

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }
}

/// The upper bound of a bucket, written alike wherever it stands.
pub(crate) fn write_bound(bound: f64, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
    let mut label = encoder.encode_label();
    let mut key = label.encode_label_key()?;
    fmt::Write::write_str(&mut key, "le")?;
    let mut value = key.encode_label_value()?;
    if bound.is_finite() {
        EncodeLabelValue::encode(&bound, &mut value)?;
    } else {
        EncodeLabelValue::encode(&"+Inf", &mut value)?;
    }
    value.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counter::CounterFamily;

    fn family() -> CounterFamily<1> {
        Family::new(Arc::new(Core::new(
            &Arc::default(),
            "a",
            "Things.",
            &["kind"],
            (),
        )))
    }

    #[test]
    fn nothing_is_left_of_a_series_that_nobody_holds() {
        let family = family();
        let held = family.with(["held"]);
        for number in 0..100 {
            drop(family.with([&number.to_string()]));
        }
        assert_eq!(family.0.series.lock().len(), 1);
        drop(held);
        assert!(family.0.series.lock().is_empty());
    }

    #[test]
    fn a_series_that_is_made_while_its_predecessor_ends_stays_listed() {
        let family = family();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        let series = family.with(["one"]);
                        let listed = family
                            .0
                            .series
                            .lock()
                            .values()
                            .any(|it| it.upgrade().is_some_and(|listed| Arc::ptr_eq(&listed, &series.0)));
                        assert!(listed);
                    }
                });
            }
        });
    }
}

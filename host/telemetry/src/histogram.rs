//! How often values of which size were seen, in fixed buckets.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::cell::{Arena, Cells};
use crate::family::{Family, Handle, Value};

/// How often values of which size were seen.
pub type Histogram = Handle<Buckets>;

/// Histograms with the same buckets that differ by `N` labels.
pub type HistogramFamily<const N: usize> = Family<Buckets, N>;

/// What a [`Histogram`] holds: a count for each bucket, and the sum of what was seen.
#[derive(Debug)]
pub struct Buckets {
    bounds: Bounds,
    /// The counts of the buckets, the last of which has no upper bound; after them the sum, as the bits of an `f64`.
    cells: Cells,
}

/// The upper bounds of buckets, ascending. A value that equals a bound belongs below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds(Arc<[f64]>);

impl Bounds {
    /// Sorts the bounds. What is not finite is left out: a last bucket for all larger values is always there.
    pub fn new(bounds: &[f64]) -> Self {
        let mut bounds: Vec<f64> = bounds.iter().copied().filter(|it| it.is_finite()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        Self(bounds.into())
    }

    /// How many lines of the page a histogram takes: its buckets, their sum and their count.
    pub(crate) fn lines(&self) -> usize {
        self.0.len() + 3
    }
}

impl Histogram {
    /// Counts `value`. Touches only what belongs to this thread. What is no number counts as larger than all bounds
    /// and is not in the sum.
    pub fn observe(&self, value: f64) {
        self.value().observe(value);
    }

    /// How many values were seen.
    pub fn count(&self) -> u64 {
        self.value().counts().map(|(_, count)| count).sum()
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.value().sum()
    }
}

impl Buckets {
    pub(crate) fn observe(&self, value: f64) {
        let (bounds, cells) = (&self.bounds.0, self.cells.own());
        if value.is_nan() {
            cells.update(bounds.len(), |it| it.wrapping_add(1));
            return;
        }
        // Most values fall into one of the first: a walk is quicker than a search.
        let bucket = bounds.iter().position(|bound| value <= *bound);
        let bucket = bucket.unwrap_or(bounds.len());
        cells.update(bucket, |it| it.wrapping_add(1));
        cells.update(bounds.len() + 1, |bits| (f64::from_bits(bits) + value).to_bits());
    }

    /// Every bucket's upper bound, with how many values lie in this bucket alone.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let bounds = self.bounds.0.iter().copied().chain([f64::INFINITY]);
        bounds
            .enumerate()
            .map(|(index, bound)| (bound, self.cells.sum(index)))
    }

    pub(crate) fn sum(&self) -> f64 {
        self.cells
            .values(self.bounds.0.len() + 1)
            .map(f64::from_bits)
            .sum()
    }
}

impl Value for Buckets {
    type Shape = Bounds;

    const TYPE: MetricType = MetricType::Histogram;

    fn make(arena: &Arc<Arena>, bounds: &Bounds) -> Self {
        Self {
            bounds: bounds.clone(),
            cells: Cells::new(arena, bounds.0.len() + 2),
        }
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts: Vec<_> = self.counts().collect();
        // From the buckets that are written, so that the page agrees with itself.
        let count = counts.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(self.sum(), count, &counts, None)
    }
}

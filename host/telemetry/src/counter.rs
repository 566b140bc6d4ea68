//! A number that only grows.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::MetricEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;

use crate::cell::{Arena, Cells};
use crate::family::{Family, Handle, Value};

/// A number that only grows; past `u64::MAX` it starts again, as Prometheus expects of counters.
pub type Counter = Handle<Sum>;

/// Counters that differ by `N` labels.
pub type CounterFamily<const N: usize> = Family<Sum, N>;

/// What a [`Counter`] holds.
#[derive(Debug)]
pub struct Sum(Cells);

/// A counter without examples of what it counted.
const NO_EXEMPLAR: Option<&Exemplar<[(&str, &str); 0], f64>> = None;

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `delta`. Touches only what belongs to this thread.
    pub fn add(&self, delta: u64) {
        self.value().add(delta);
    }

    /// The count of all threads.
    pub fn get(&self) -> u64 {
        self.value().get()
    }
}

impl Sum {
    pub(crate) fn add(&self, delta: u64) {
        self.0.own().update(0, |it| it.wrapping_add(delta));
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.sum(0)
    }
}

impl Value for Sum {
    type Shape = ();

    const TYPE: MetricType = MetricType::Counter;

    fn make(arena: &Arc<Arena>, (): &()) -> Self {
        Self(Cells::new(arena, 1))
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_counter(&self.get(), NO_EXEMPLAR)
    }
}

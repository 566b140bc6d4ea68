//! One series of a plugin's metric.

use std::sync::Arc;

use crate::cell::Arena;
use crate::counter::Sum;
use crate::family::Value;
use crate::gauge::Latest;
use crate::histogram::{Bounds, Buckets};

/// What a metric is, from its first use on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Gauge,
    Histogram,
    Counter,
}

/// What a series holds.
#[derive(Debug)]
pub(super) enum Measure {
    Counter(Sum),
    Gauge(Latest),
    Histogram(Buckets),
}

#[derive(Debug)]
pub(super) struct Series {
    pub(super) hash: u64,
    pub(super) name: Box<str>,
    /// In the order of their names, each of which is there once.
    pub(super) labels: Box<[(Box<str>, Box<str>)]>,
    pub(super) measure: Measure,
}

impl Kind {
    /// How many lines of the page a series takes.
    pub(super) fn lines(self, name: &str) -> usize {
        match self {
            Self::Counter | Self::Gauge => 1,
            Self::Histogram => bounds(name).lines(),
        }
    }
}

impl Series {
    pub(super) fn new(
        arena: &Arc<Arena>,
        hash: u64,
        kind: Kind,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Self {
        let mut labels: Box<[(Box<str>, Box<str>)]> = labels
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        labels.sort_unstable();
        let measure = match kind {
            Kind::Counter => Measure::Counter(Sum::make(arena, &())),
            Kind::Gauge => Measure::Gauge(Latest::default()),
            Kind::Histogram => Measure::Histogram(Buckets::make(arena, &bounds(name))),
        };
        Self {
            hash,
            name: name.into(),
            labels,
            measure,
        }
    }

    /// Whether these are its name and labels, in any order. Its own labels are all different: if as many others have
    /// every one of them, they are the same.
    pub(super) fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        let has = |own: &(Box<str>, Box<str>)| labels.contains(&(&*own.0, &*own.1));
        *self.name == *name && self.labels.len() == labels.len() && self.labels.iter().all(has)
    }
}

impl Measure {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
        }
    }

    pub(super) fn add(&self, delta: u64) {
        if let Self::Counter(sum) = self {
            sum.add(delta);
        }
    }

    pub(super) fn set(&self, value: f64) {
        if let Self::Gauge(latest) = self {
            latest.set(value);
        }
    }

    pub(super) fn observe(&self, value: f64) {
        if let Self::Histogram(buckets) = self {
            buckets.observe(value);
        }
    }
}

/// Plugins do not choose buckets: the unit at the end of the name does, as Prometheus names metrics.
fn bounds(name: &str) -> Bounds {
    if name.ends_with("_seconds") {
        Bounds::new(&[
            0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ])
    } else if name.ends_with("_bytes") {
        Bounds::new(&[
            64.0,
            256.0,
            1024.0,
            4096.0,
            16_384.0,
            65_536.0,
            262_144.0,
            1_048_576.0,
            4_194_304.0,
            16_777_216.0,
        ])
    } else {
        Bounds::new(&[
            0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0, 100_000.0,
        ])
    }
}

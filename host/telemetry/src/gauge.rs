//! Numbers that go up and down: counted, set, or asked for when the page is written.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use prometheus_client::encoding::MetricEncoder;
use prometheus_client::metrics::MetricType;

use crate::cell::{Arena, Cells};
use crate::family::{Family, Handle, Value};

/// How many of something there are: workers add and take away, and the page has the sum.
pub type Gauge = Handle<Balance>;

/// Gauges that differ by `N` labels.
pub type GaugeFamily<const N: usize> = Family<Balance, N>;

/// A number that is asked for when the page is written.
pub type Probe = Handle<Question>;

/// Probes that differ by `N` labels.
pub type ProbeFamily<const N: usize> = Family<Question, N>;

/// What a [`Gauge`] holds.
#[derive(Debug)]
pub struct Balance(Cells);

/// A number that is set. The last one who sets it wins, so all threads share it: not for every request.
#[derive(Debug, Default)]
pub(crate) struct Latest(AtomicU64);

/// What a [`Probe`] holds.
#[derive(Default)]
pub struct Question(Mutex<Option<Ask>>);

type Ask = Arc<dyn Fn() -> f64 + Send + Sync>;

impl Gauge {
    /// Adds one. Touches only what belongs to this thread.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Takes one away; not necessarily on the thread that added it.
    pub fn dec(&self) {
        self.add(-1);
    }

    /// Adds `delta`, which may be negative.
    pub fn add(&self, delta: i64) {
        self.value().0.own().update(0, |it| it.wrapping_add_signed(delta));
    }

    /// The sum of all threads.
    pub fn get(&self) -> i64 {
        self.value().0.sum(0).cast_signed()
    }
}

impl Probe {
    /// Asks `ask` from now on, whoever it asked before.
    pub fn ask(&self, ask: impl Fn() -> f64 + Send + Sync + 'static) {
        *self.value().0.lock() = Some(Arc::new(ask));
    }
}

impl Latest {
    pub(crate) fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl<const N: usize> ProbeFamily<N> {
    /// The series with these label values, which from now on asks `ask`, whoever it asked before. `ask` runs on the
    /// thread that writes the page, and should not wait.
    pub fn ask(&self, values: [&str; N], ask: impl Fn() -> f64 + Send + Sync + 'static) -> Probe {
        let probe = self.with(values);
        probe.ask(ask);
        probe
    }
}

impl Value for Balance {
    type Shape = ();

    const TYPE: MetricType = MetricType::Gauge;

    fn make(arena: &Arc<Arena>, (): &()) -> Self {
        Self(Cells::new(arena, 1))
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&self.0.sum(0).cast_signed())
    }
}

impl Value for Latest {
    type Shape = ();

    const TYPE: MetricType = MetricType::Gauge;

    fn make(_: &Arc<Arena>, (): &()) -> Self {
        Self::default()
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&self.get())
    }
}

impl Value for Question {
    type Shape = ();

    const TYPE: MetricType = MetricType::Gauge;

    fn make(_: &Arc<Arena>, (): &()) -> Self {
        Self::default()
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        // Asked without the lock: the answer may take one of its own.
        let ask = self.0.lock().clone();
        encoder.encode_gauge(&ask.map_or(f64::NAN, |ask| ask()))
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Question")
    }
}

//! Metrics of the gateway and of its plugins.
//!
//! Workers count in cells of their own, without a lock and without sharing a cache line; the page adds up. Nothing
//! here opens a socket, reads a clock or knows what a plugin is but by its name.

mod cell;
mod counter;
mod family;
mod gauge;
mod guest;
mod histogram;
mod named;
mod plugin;
mod registry;
mod word;

pub use counter::{Counter, CounterFamily, Sum};
pub use family::{Family, Handle, Value};
pub use gauge::{Balance, Gauge, GaugeFamily, Probe, ProbeFamily, Question};
pub use guest::{DEFAULT_SERIES, GuestMetrics, PluginMetrics, Refused};
pub use histogram::{Bounds, Buckets, Histogram, HistogramFamily};
pub use plugin::{Comparison, FilterTelemetry, LiveInstance, PluginFamilies, PluginTelemetry};
pub use registry::{CONTENT_TYPE, Conflict, Registry};

//! Metrics under the plugin's own prefix. Capability `metrics`. A name has one kind, its first; what the host
//! cannot take is left out and counted by the gateway.

use crate::bindings::weir::policy::metrics as host;
use host::Label;

/// Adds to a counter.
///
/// ```no_run
/// weir_sdk::metrics::add("denied", &[("reason", "no-token")], 1);
/// ```
pub fn add(name: &str, labels: &[(&str, &str)], delta: u64) {
    host::add(name, &owned(labels), delta);
}

/// Sets a gauge.
pub fn set(name: &str, labels: &[(&str, &str)], value: f64) {
    host::set(name, &owned(labels), value);
}

/// Adds to a histogram.
pub fn observe(name: &str, labels: &[(&str, &str)], value: f64) {
    host::observe(name, &owned(labels), value);
}

fn owned(labels: &[(&str, &str)]) -> Vec<Label> {
    let label = |(name, value): &(&str, &str)| Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    labels.iter().map(label).collect()
}

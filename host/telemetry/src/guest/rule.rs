//! What a plugin may name, and why it may not.

use super::series::Kind;

const MAX_NAME: usize = 64;
const MAX_LABELS: usize = 8;
const MAX_LABEL_VALUE: usize = 128;

/// Labels that the page writes itself.
const RESERVED_LABELS: [&str; 3] = ["plugin", "le", "quantile"];

/// Endings of samples that counters and histograms have. A gauge with one could be mistaken for a part of them.
const RESERVED_ENDINGS: [&str; 5] = ["_total", "_bucket", "_sum", "_count", "_created"];

/// Why an update of a plugin's metric did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The name is not allowed.
    #[error(
        "the metric's name is not allowed: use at most 64 of a-z, 0-9 and _, do not begin with a digit, and do not end a gauge with _total, _bucket, _sum, _count or _created"
    )]
    Name,
    /// The labels are not allowed.
    #[error(
        "the metric's labels are not allowed: use at most 8, each once, named like metrics, and none named plugin, le, quantile or with __ before it"
    )]
    Label,
    /// The value of a label is too long. It is not cut: series that differ at the end would become one.
    #[error("a label's value is longer than 128 bytes: shorten it")]
    LabelValue,
    /// The value is infinite, or no number.
    #[error("the value is not finite")]
    Number,
    /// The plugin has a metric of that name and another kind.
    #[error("the metric is of another kind since its first use: use another name")]
    Kind,
    /// The plugin has as many series as it may have.
    #[error("the plugin has as many series as it may have: use fewer label values")]
    Limit,
}

impl Refused {
    /// The label `reason` of `weir_plugin_metrics_refused_total`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Label => "label",
            Self::LabelValue => "label_value",
            Self::Number => "number",
            Self::Kind => "kind",
            Self::Limit => "limit",
        }
    }
}

/// What bounds the work for everything that follows.
pub(super) fn check_sizes(name: &str, labels: &[(&str, &str)]) -> Result<(), Refused> {
    if name.len() > MAX_NAME {
        return Err(Refused::Name);
    }
    if labels.len() > MAX_LABELS || labels.iter().any(|(name, _)| name.len() > MAX_NAME) {
        return Err(Refused::Label);
    }
    if labels.iter().any(|(_, value)| value.len() > MAX_LABEL_VALUE) {
        return Err(Refused::LabelValue);
    }
    Ok(())
}

/// Everything else about a series that is not there yet.
pub(super) fn check(kind: Kind, name: &str, labels: &[(&str, &str)]) -> Result<(), Refused> {
    let misleading = kind == Kind::Gauge && RESERVED_ENDINGS.iter().any(|ending| name.ends_with(ending));
    if misleading || !is_name(name) {
        return Err(Refused::Name);
    }
    for (index, (label, _)) in labels.iter().enumerate() {
        let twice = labels.iter().skip(index + 1).any(|(other, _)| other == label);
        if twice || !is_name(label) || label.starts_with("__") || RESERVED_LABELS.contains(label) {
            return Err(Refused::Label);
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_')
}

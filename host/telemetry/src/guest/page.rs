//! The metrics of plugins on the page.
//!
//! Plugins choose names without knowing of each other, and the page may say only once what kind a name is. Where two
//! plugins disagree, one kind keeps the name and the samples of the others are shown as `unknown`, each under its own
//! name. No sample changes its name or its labels by that, whatever other plugins do.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::MetricType;

use super::series::{Kind, Measure, Series};
use crate::counter::Sum;
use crate::family::{Labels, Value, write_bound};
use crate::gauge::Latest;
use crate::histogram::Buckets;

const PREFIX: &str = "weir_guest_";
const HELP: &str = "Defined by plugins.";

/// The series of one name and kind, with their plugins.
type Group<'a> = Vec<(Labels<'a>, &'a Measure)>;

/// A sample of a histogram that is shown by itself, with the bound of its bucket if it has one.
type Part = (Option<f64>, f64);

/// Writes the series of all plugins.
pub(super) fn encode(
    plugins: &[(&str, Vec<Arc<Series>>)],
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let mut names: BTreeMap<&str, BTreeMap<Kind, Group<'_>>> = BTreeMap::new();
    for (plugin, all) in plugins {
        for series in all {
            let own = series.labels.iter().map(|(name, value)| (&**name, &**value));
            let labels = Labels([("plugin", *plugin)].into_iter().chain(own).collect());
            names
                .entry(&series.name)
                .or_default()
                .entry(series.measure.kind())
                .or_default()
                .push((labels, &series.measure));
        }
    }
    for (name, kinds) in names {
        let family = format!("{PREFIX}{name}");
        // A gauge's sample has the bare name, so it comes first: only as `unknown` could it stand beside the others.
        for (index, (kind, mut group)) in kinds.into_iter().enumerate() {
            group.sort_by(|one, other| one.0.0.cmp(&other.0.0));
            if index == 0 {
                encode_typed(&family, kind, &group, encoder)?;
            } else {
                encode_untyped(&family, kind, &group, encoder)?;
            }
        }
    }
    Ok(())
}

fn encode_typed(
    family: &str,
    kind: Kind,
    group: &Group<'_>,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let kind = match kind {
        Kind::Gauge => Latest::TYPE,
        Kind::Histogram => Buckets::TYPE,
        Kind::Counter => Sum::TYPE,
    };
    let mut encoder = encoder.encode_descriptor(family, HELP, None, kind)?;
    for (labels, measure) in group {
        let encoder = encoder.encode_family(labels)?;
        match measure {
            Measure::Counter(sum) => sum.encode(encoder)?,
            Measure::Gauge(latest) => latest.encode(encoder)?,
            Measure::Histogram(buckets) => Value::encode(buckets, encoder)?,
        }
    }
    Ok(())
}

/// Every sample under its own name, of which is only known that it is a number.
fn encode_untyped(
    family: &str,
    kind: Kind,
    group: &Group<'_>,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let endings: &[&str] = match kind {
        Kind::Gauge => &[""],
        Kind::Histogram => &["_bucket", "_count", "_sum"],
        Kind::Counter => &["_total"],
    };
    for ending in endings {
        let name = format!("{family}{ending}");
        let mut encoder = encoder.encode_descriptor(&name, HELP, None, MetricType::Unknown)?;
        for (labels, measure) in group {
            for (bound, value) in parts(measure, ending) {
                let labels = Bounded { labels, bound };
                encoder.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus reads every sample as a double"
)]
fn parts(measure: &Measure, ending: &str) -> Vec<Part> {
    match (measure, ending) {
        (Measure::Counter(sum), _) => vec![(None, sum.get() as f64)],
        (Measure::Gauge(latest), _) => vec![(None, latest.get())],
        (Measure::Histogram(buckets), "_sum") => vec![(None, buckets.sum())],
        (Measure::Histogram(buckets), ending) => {
            let mut up_to = 0;
            let counts = buckets.counts().map(|(bound, count)| {
                up_to += count;
                (Some(bound), up_to as f64)
            });
            let mut counts: Vec<Part> = counts.collect();
            if ending == "_count" {
                counts = counts.pop().map(|(_, all)| (None, all)).into_iter().collect();
            }
            counts
        }
    }
}

struct Bounded<'a> {
    labels: &'a Labels<'a>,
    bound: Option<f64>,
}

impl EncodeLabelSet for Bounded<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        if let Some(bound) = self.bound {
            write_bound(bound, encoder)?;
        }
        self.labels.encode(encoder)
    }
}

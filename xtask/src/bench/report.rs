//! Medians and ratios of rounds, as a Markdown table.

use std::fmt::Write as _;

/// One measurement of one target in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// CPU per request, in microseconds.
    pub(super) cpu: f64,
    /// Requests per second.
    pub(super) rate: f64,
    /// The share of the round in which the proxy was on its core, in percent.
    pub(super) busy: f64,
}

/// All rounds of one target. Round `n` of every series ran side by side.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    /// The name of the same proxy without filters, and how many filters this one has.
    pub(super) bare: Option<(String, usize)>,
    pub(super) samples: Vec<Sample>,
}

/// The table over all series. The peers are what `nginx` and `HAProxy` are called.
pub(super) fn table(series: &[Series], peers: &[&str]) -> String {
    let mut text = String::from(
        "| target | CPU per request, µs: median (min) | requests/s | core busy | vs nginx | vs the better of nginx, HAProxy | added per filter, µs |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let find = |name: &str| series.iter().find(|other| other.name == name);
    for row in series {
        let cpu = column(row, |sample| sample.cpu);
        let nginx = find("nginx").map(|nginx| median(&ratios(row, &[nginx])));
        let known: Vec<&Series> = peers.iter().filter_map(|peer| find(peer)).collect();
        let better = (!known.is_empty()).then(|| median(&ratios(row, &known)));
        let added = row
            .bare
            .as_ref()
            .and_then(|(bare, filters)| Some(added(row, find(bare)?, *filters)));
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        let _ = writeln!(
            text,
            "| {} | {:.1} ({:.1}) | {:.0} | {:.0} % | {} | {} | {} |",
            row.name,
            median(&cpu),
            cpu.iter().copied().fold(f64::INFINITY, f64::min),
            median(&column(row, |sample| sample.rate)),
            median(&column(row, |sample| sample.busy)),
            number(nginx),
            number(better),
            number(added),
        );
    }
    text
}

/// The middle of some numbers; NaN for none.
pub(super) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) && half > 0 {
        f64::midpoint(at(half - 1), at(half))
    } else {
        at(half)
    }
}

fn column(series: &Series, field: impl Fn(&Sample) -> f64) -> Vec<f64> {
    series.samples.iter().map(field).collect()
}

/// CPU of each round over that of the better peer in the same round.
fn ratios(series: &Series, peers: &[&Series]) -> Vec<f64> {
    let better = |round: usize| {
        let cpus = peers
            .iter()
            .filter_map(|peer| peer.samples.get(round))
            .map(|sample| sample.cpu);
        cpus.fold(f64::INFINITY, f64::min)
    };
    series
        .samples
        .iter()
        .enumerate()
        .map(|(round, sample)| sample.cpu / better(round))
        .collect()
}

/// What one filter adds: the median over rounds of the difference to the bare proxy, shared by the filters.
#[expect(clippy::cast_precision_loss, reason = "a handful of filters")]
fn added(series: &Series, bare: &Series, filters: usize) -> f64 {
    let pairs = series.samples.iter().zip(&bare.samples);
    median(
        &pairs
            .map(|(with, without)| (with.cpu - without.cpu) / filters as f64)
            .collect::<Vec<_>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, bare: Option<(&str, usize)>, cpus: &[f64]) -> Series {
        let samples = cpus
            .iter()
            .map(|cpu| Sample {
                cpu: *cpu,
                rate: 1e6 / cpu,
                busy: 99.0,
            })
            .collect();
        Series {
            name: name.into(),
            bare: bare.map(|(name, filters)| (name.to_owned(), filters)),
            samples,
        }
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn ratios_compare_within_a_round_and_filters_share_what_they_add() {
        let all = [
            series("nginx", None, &[10.0, 20.0, 10.0]),
            series("HAProxy", None, &[12.0, 10.0, 12.0]),
            series("Weir", None, &[9.0, 18.0, 9.0]),
            series("Weir + 5 filters", Some(("Weir", 5)), &[14.0, 23.0, 14.0]),
        ];
        let text = table(&all, &["nginx", "HAProxy"]);
        assert!(
            text.contains("| Weir | 9.0 (9.0) | 111111 | 99 % | 0.90 | 0.90 | - |"),
            "{text}"
        );
        assert!(
            text.contains("| Weir + 5 filters | 14.0 (14.0) | 71429 | 99 % | 1.40 | 1.40 | 1.00 |"),
            "{text}"
        );
    }

    #[test]
    fn a_missing_peer_leaves_a_dash() {
        let text = table(&[series("Weir", None, &[9.0])], &["nginx", "HAProxy"]);
        assert!(
            text.contains("| Weir | 9.0 (9.0) | 111111 | 99 % | - | - | - |"),
            "{text}"
        );
    }
}

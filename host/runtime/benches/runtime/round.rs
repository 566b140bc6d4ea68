//! Rounds of measurements, their medians, and how they are written down.

use std::time::Instant;

/// One thing to measure: its name and what makes a sample of it, in nanoseconds.
pub(crate) struct Row<'a> {
    pub(crate) name: String,
    pub(crate) sample: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Row<'a> {
    pub(crate) fn new(name: impl Into<String>, sample: impl FnMut() -> f64 + 'a) -> Self {
        Self {
            name: name.into(),
            sample: Box::new(sample),
        }
    }
}

/// The median of every row over so many rounds, after one that does not count.
pub(crate) fn medians(rows: &mut [Row<'_>], rounds: usize) -> Vec<f64> {
    let mut samples = vec![Vec::with_capacity(rounds); rows.len()];
    for round in 0..=rounds {
        for (row, samples) in rows.iter_mut().zip(&mut samples) {
            let sample = (row.sample)();
            if round > 0 {
                samples.push(sample);
            }
        }
    }
    samples.iter_mut().map(|it| median(it)).collect()
}

/// Nanoseconds of one call, over a batch.
pub(crate) fn time(calls: u32, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        call();
    }
    nanoseconds(start) / f64::from(calls)
}

/// Nanoseconds since then.
pub(crate) fn nanoseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e9
}

/// The middle of some samples.
pub(crate) fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Begins a table.
pub(crate) fn table(title: &str, columns: &[&str]) {
    println!(
        "\n### {title}\n\n| {} |\n|{}",
        columns.join(" | "),
        "---|".repeat(columns.len())
    );
}

/// A table of two columns: every row and its median.
pub(crate) fn print(title: &str, columns: [&str; 2], rows: &[Row<'_>], medians: &[f64]) {
    table(title, &columns);
    for (row, median) in rows.iter().zip(medians) {
        println!("| {} | {median:.0} |", row.name);
    }
}

//! Ten thousand configurations of one plugin on one worker, beside one.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Runtime;
use weir_filter::{Filter, Phase};

use crate::bed::{Bed, Visit, chain_filter, resident, worker};
use crate::round::{Row, median, medians, nanoseconds, table, time};

const MANY: u32 = 10_000;
const ROUNDS: usize = 21;

pub(crate) fn run() {
    table(
        "Configurations of one plugin on one worker",
        &[
            "configurations",
            "instances",
            "ns per call, all in turn",
            "first call of each: ns",
            "made off the data path: ns",
            "gateway: bytes each",
            "instance: bytes each",
        ],
    );
    for count in [1, MANY] {
        measure(count);
    }
    println!(
        "\nThe call is a request head of a guest that does nothing; the first one gives the instance its configuration."
    );
}

fn measure(count: u32) {
    let (bed, worker) = (Bed::new(None), worker());
    let plugin = bed.load("costs");
    // What is there for the first one is not the others' share.
    let warm = plugin.filter(&chain_filter("times=0")).unwrap();
    first_calls(&worker, std::slice::from_ref(&warm));

    let before = resident();
    let mut numbers = 1..;
    let mut filters: Vec<Arc<dyn Filter>> = Vec::new();
    let made = time(count, || {
        let number = numbers.next().unwrap_or(0);
        // Of two words of one name the last counts.
        let config = chain_filter(&format!("times={number} times=0"));
        filters.push(plugin.filter(&config).unwrap());
    });
    let with_filters = resident();
    let first = first_calls(&worker, &filters);
    let with_configurations = resident();
    let instances = bed.instances("costs");

    let mut rows = [all_in_turn(&worker, &filters)];
    let calls = medians(&mut rows, ROUNDS);
    let each = |from: f64, to: f64| {
        if count < MANY {
            return "-".to_owned();
        }
        format!("{:.0}", (to - from) / f64::from(count))
    };
    println!(
        "| {count} | {instances:.0} | {:.0} | {first:.0} | {made:.0} | {} | {} |",
        calls.first().copied().unwrap_or(f64::NAN),
        each(before, with_filters),
        each(with_filters, with_configurations),
    );
}

/// The median time of the first call of each.
fn first_calls(worker: &Runtime, filters: &[Arc<dyn Filter>]) -> f64 {
    let mut visit = Some(Visit::new(None));
    let mut samples: Vec<_> = filters
        .iter()
        .map(|filter| {
            let own = visit.take().unwrap();
            let since = Instant::now();
            let own = worker.block_on(own.call(&**filter, Phase::RequestHead));
            let sample = nanoseconds(since);
            visit = Some(own);
            sample
        })
        .collect();
    median(&mut samples)
}

/// As many calls however many configurations there are.
fn all_in_turn<'a>(worker: &'a Runtime, filters: &'a [Arc<dyn Filter>]) -> Row<'a> {
    let mut visit = Some(Visit::new(None));
    Row::new("call", move || {
        let own = visit.take().unwrap();
        let since = Instant::now();
        let own = worker.block_on(async {
            let mut own = own;
            for filter in filters.iter().cycle().take(MANY as usize) {
                own = own.call(&**filter, Phase::RequestHead).await;
            }
            own
        });
        let sample = nanoseconds(since) / f64::from(MANY);
        visit = Some(own);
        sample
    })
}

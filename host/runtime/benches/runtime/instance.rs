//! How many live instances fit into a GiB.

use weir_filter::Phase;
use weir_model::{ChainFilter, Isolation};

use crate::bed::{Bed, Visit, chain_filter, resident, worker};
use crate::round::table;

const INSTANCES: usize = 1000;
const GIB: f64 = (1_u32 << 30) as f64;

pub(crate) fn run() {
    table(
        "Memory of live instances",
        &[
            "guest",
            "instances",
            "KiB each",
            "instances per GiB",
            "KiB each that stays when they are gone",
        ],
    );
    for guest in ["headers", "costs"] {
        measure(guest);
    }
    println!(
        "\nMemory in RAM of the process, with configuration and first call done. A call in progress has a stack of its \
         own on top."
    );
}

/// Every exchange keeps a fresh instance of its own, and all exchanges are alive at once.
#[expect(clippy::cast_precision_loss, reason = "a thousand instances")]
fn measure(guest: &str) {
    let (bed, worker) = (Bed::new(None), worker());
    let fresh = ChainFilter {
        isolation: Isolation::Fresh,
        ..chain_filter("")
    };
    let filter = bed.load(guest).filter(&fresh).unwrap();
    let call = |visit: Visit| worker.block_on(visit.call(&*filter, Phase::RequestHead));
    let (mut idle, mut live) = (Vec::with_capacity(INSTANCES), Vec::with_capacity(INSTANCES));
    // The code's pages are there, and the exchanges are not the instances'.
    drop(call(Visit::new(None)));
    idle.resize_with(INSTANCES, || Visit::new(None));
    let before = resident();
    live.extend(idle.drain(..).map(call));
    let full = resident();
    let count = bed.instances(guest);
    live = live.into_iter().map(Visit::end).collect();
    let after = resident();
    let each = (full - before) / INSTANCES as f64;
    println!(
        "| {guest} | {count:.0} | {:.0} | {:.0} | {:.0} |",
        each / 1024.0,
        GIB / each,
        (after - before) / INSTANCES as f64 / 1024.0
    );
    drop(live);
}

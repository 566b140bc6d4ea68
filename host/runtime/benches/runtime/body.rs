//! How fast bodies pass through a guest, by the size of their chunks.

use std::time::Instant;

use bytes::Bytes;
use weir_filter::{Chunk, Phase};

use crate::bed::{Bed, Visit, worker};
use crate::round::{Row, medians, nanoseconds, table};

const ROUNDS: usize = 51;
const KIB: [u32; 5] = [1, 4, 16, 64, 256];

/// Bytes of one sample.
const SAMPLE_KIB: u32 = 4 << 10;

pub(crate) fn run() {
    let (bed, worker) = (Bed::new(None), worker());
    let mut rows = Vec::new();
    for kib in KIB {
        for config in ["", "replaces"] {
            let filter = bed.filter("costs", config);
            let bytes = Bytes::from(vec![b'x'; kib as usize * 1024]);
            let phase = Phase::RequestBody(Chunk { bytes, end: false });
            let chunks = SAMPLE_KIB / kib;
            let mut visit = Some(Visit::new(None));
            let worker = &worker;
            rows.push(Row::new(config, move || {
                let own = visit.take().unwrap();
                let since = Instant::now();
                let own = worker.block_on(async {
                    let mut own = own;
                    for _ in 0..chunks {
                        own = own.call(&*filter, phase.clone()).await;
                        // As the proxy does: the staged chunk goes on its way.
                        drop(own.exchange.take_body());
                    }
                    own
                });
                let sample = nanoseconds(since) / f64::from(chunks);
                visit = Some(own);
                sample
            }));
        }
    }
    let medians = medians(&mut rows, ROUNDS);
    table(
        "A chunk of a body",
        &[
            "KiB",
            "handed in: µs",
            "MiB/s",
            "handed in and replaced: µs",
            "MiB/s",
        ],
    );
    for (kib, pair) in KIB.iter().zip(medians.chunks(2)) {
        let cells: Vec<_> = pair
            .iter()
            .map(|ns| format!("{:.2} | {:.0}", ns / 1e3, f64::from(*kib) / 1024.0 * 1e9 / ns))
            .collect();
        println!("| {kib} | {} |", cells.join(" | "));
    }
}

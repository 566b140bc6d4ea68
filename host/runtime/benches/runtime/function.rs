//! What each host function costs a guest in Rust, lifting and lowering included.
//!
//! One call makes many of them; what a call with as many empty ones takes is subtracted.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Runtime;
use weir_filter::{Callouts, Phase};
use weir_runtime::LoadedPlugin;

use crate::bed::{Bed, Visit, chain_filter, worker};
use crate::callout::Backend;
use crate::round::{Row, medians, nanoseconds, table};

const ROUNDS: usize = 51;
const TIMES: u32 = 1000;

/// As the guest `costs` calls them. The first is the base of the others.
const FUNCTIONS: [&str; 53] = [
    "nothing",
    "request.method",
    "request.set-method",
    "request.scheme",
    "request.authority",
    "request.set-authority",
    "request.path",
    "request.set-path",
    "request.path-starts-with",
    "request.header",
    "request.header-values",
    "request.has-header",
    "request.header-is",
    "request.headers-block",
    "request.set-header",
    "request.append-header, remove-header",
    "request.set-headers",
    "response.status",
    "response.set-status",
    "response.header",
    "response.set-header",
    "request-trailers.header",
    "response-trailers.header",
    "exchange.attribute (int)",
    "exchange.attribute (text)",
    "exchange.reply",
    "exchange.replace-body",
    "exchange.note-set",
    "exchange.note-get",
    "exchange.shared-set",
    "exchange.shared-get",
    "log.enabled",
    "log.write (to a log that throws it away)",
    "log.write (level off)",
    "clock.now",
    "clock.monotonic",
    "random.next",
    "random.bytes (32)",
    "environment.get",
    "sink.write (100 bytes, thrown away)",
    "kv.set",
    "kv.get",
    "kv.get, compare-and-set",
    "kv.increment",
    "kv.delete",
    "kv.keys (one)",
    "metrics.add (one label)",
    "metrics.set (one label)",
    "metrics.observe (one label)",
    "upstream.fetch",
    "grpc.unary",
    "grpc.open, cancel",
    "grpc.open, send, receive, cancel",
];

pub(crate) fn run() {
    let (bed, worker) = (Bed::new(None), worker());
    let plugin = bed.load("costs");
    let mut rows: Vec<_> = FUNCTIONS
        .into_iter()
        .map(|function| row(&worker, &plugin, function))
        .collect();
    let medians = medians(&mut rows, ROUNDS);
    let base = medians.first().copied().unwrap_or(f64::NAN);
    table("A call of a host function", &["function", "ns"]);
    for (row, median) in rows.iter().zip(&medians).skip(1) {
        println!("| {} | {:.0} |", row.name, (median - base) / f64::from(TIMES));
    }
    println!(
        "\nThe request and the response have 20 fields. Functions on fields cost the same for requests, responses and \
         trailers. Callouts are answered at once by a stand-in: what is left is the way there and back."
    );
}

fn row<'a>(worker: &'a Runtime, plugin: &LoadedPlugin, function: &'static str) -> Row<'a> {
    let filter = plugin
        .filter(&chain_filter(&format!("times={TIMES} call={function}")))
        .unwrap();
    let callouts: Arc<dyn Callouts> = Arc::new(Backend::AtOnce);
    Row::new(function, move || {
        // What a call leaves behind, such as notes and counts, is not the next one's burden.
        let visit = Visit::new(Some(Arc::clone(&callouts)));
        let since = Instant::now();
        let visit = worker.block_on(visit.call(&*filter, Phase::RequestHead));
        let sample = nanoseconds(since);
        drop(visit);
        sample
    })
}

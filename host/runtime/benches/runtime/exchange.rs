//! What an exchange costs by how its instance is chosen: warm or fresh, leased for a call or for the exchange.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Runtime;
use weir_filter::{Filter, Phase};
use weir_model::{ChainFilter, Isolation};

use crate::bed::{Bed, Visit, chain_filter, worker};
use crate::round::{Row, medians, nanoseconds, print};

const ROUNDS: usize = 101;
const EXCHANGES: u32 = 100;

pub(crate) fn run() {
    let (bed, worker) = (Bed::new(None), worker());
    let heads = [Phase::RequestHead, Phase::ResponseHead];
    let whole = [Phase::RequestHead, Phase::ResponseHead, Phase::Log];
    let fresh = ChainFilter {
        isolation: Isolation::Fresh,
        ..chain_filter("bench")
    };
    let fresh = bed.load("headers").filter(&fresh).unwrap();
    let mut rows = [
        row(
            &worker,
            "header policy, both heads, a warm instance for each call",
            bed.filter("headers", "bench"),
            &heads,
        ),
        row(
            &worker,
            "the same, a fresh instance for each exchange",
            fresh,
            &heads,
        ),
        row(
            &worker,
            "counting policy, both heads and log, an instance for each call",
            bed.filter("affinity_exchange", "call"),
            &whole,
        ),
        row(
            &worker,
            "the same, one instance for the whole exchange",
            bed.filter("affinity_exchange", ""),
            &whole,
        ),
    ];
    let medians = medians(&mut rows, ROUNDS);
    print(
        "An exchange, by isolation and affinity",
        ["exchange", "ns"],
        &rows,
        &medians,
    );
}

fn row<'a>(worker: &'a Runtime, name: &str, filter: Arc<dyn Filter>, phases: &'a [Phase]) -> Row<'a> {
    let mut visit = Some(Visit::new(None));
    Row::new(name, move || {
        let own = visit.take().unwrap();
        let since = Instant::now();
        let own = worker.block_on(async {
            let mut own = own;
            for _ in 0..EXCHANGES {
                own = own.pass(&*filter, phases).await.end();
            }
            own
        });
        let sample = nanoseconds(since) / f64::from(EXCHANGES);
        visit = Some(own);
        sample
    })
}

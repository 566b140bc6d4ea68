//! What a call of each phase costs, with a guest that does nothing and with a header policy.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::runtime::Runtime;
use weir_filter::{Chunk, Filter, Phase};

use crate::bed::{Bed, Visit, worker};
use crate::round::{Row, medians, nanoseconds, print};

const ROUNDS: usize = 101;
const CALLS: u32 = 500;

pub(crate) fn run() {
    let (bed, worker) = (Bed::new(None), worker());
    let empty = bed.filter("costs", "");
    let policies: Vec<_> = (1..=5)
        .map(|at| bed.filter("headers", &format!("bench-{at}")))
        .collect();
    let mut rows: Vec<_> = phases()
        .into_iter()
        .map(|phase| {
            let name = format!("{}, a guest that does nothing", phase.as_str());
            row(&worker, name, vec![Arc::clone(&empty)], vec![phase])
        })
        .collect();
    let heads = [Phase::RequestHead, Phase::ResponseHead];
    for phase in heads.clone() {
        let name = format!("{}, a policy that sets a header", phase.as_str());
        let policy = policies.iter().take(1).cloned().collect();
        rows.push(row(&worker, name, policy, vec![phase]));
    }
    for number in [1, 5] {
        let name = format!("both heads, {number} of these policies");
        let policies = policies.iter().take(number).cloned().collect();
        rows.push(row(&worker, name, policies, heads.to_vec()));
    }
    let medians = medians(&mut rows, ROUNDS);
    print("A call of a phase", ["phase and guest", "ns"], &rows, &medians);
}

/// Every phase; bodies with an empty chunk, so that copying is not in it.
fn phases() -> [Phase; 7] {
    let chunk = || Chunk {
        bytes: Bytes::new(),
        end: false,
    };
    [
        Phase::RequestHead,
        Phase::RequestBody(chunk()),
        Phase::RequestTrailers,
        Phase::ResponseHead,
        Phase::ResponseBody(chunk()),
        Phase::ResponseTrailers,
        Phase::Log,
    ]
}

/// Filters that all run in these phases; a sample is the time of all of them once.
fn row(worker: &Runtime, name: String, filters: Vec<Arc<dyn Filter>>, phases: Vec<Phase>) -> Row<'_> {
    let mut visit = Some(Visit::new(None));
    Row::new(name, move || {
        let own = visit.take().unwrap();
        let since = Instant::now();
        let own = worker.block_on(async {
            let mut own = own;
            for _ in 0..CALLS {
                for filter in &filters {
                    own = own.pass(&**filter, &phases).await;
                }
            }
            own
        });
        let sample = nanoseconds(since) / f64::from(CALLS);
        visit = Some(own);
        sample
    })
}

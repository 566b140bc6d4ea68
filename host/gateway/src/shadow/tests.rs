//! Two generations side by side, with filters written in Rust.

use tokio::runtime::Builder;
use tokio::task::{LocalSet, yield_now};
use weir_filter::Chunk;
use weir_telemetry::{PluginFamilies, Registry};

use super::*;

/// Numbers the chunks of a body, and counts what it is told of failures.
#[derive(Debug, Default)]
struct Numbers {
    failures: AtomicU64,
}

impl Filter for Numbers {
    fn name(&self) -> &str {
        "numbers"
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_BODY
    }

    fn count_failure(&self, _: FailureReason) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    fn call(&self, call: Call, _: &mut Context<'_>) -> Progress {
        let Call {
            mut exchange, kept, ..
        } = call;
        let number = kept.and_then(Kept::take::<u64>).unwrap_or_default() + 1;
        exchange.stage_body(number.to_string().into());
        Progress::Done(Finished {
            exchange,
            kept: Some(Kept::new(number)),
            result: Ok(Action::Next),
        })
    }
}

fn shadowed() -> (Arc<Numbers>, Arc<Numbers>, ShadowFilter) {
    let telemetry = PluginFamilies::new(&Registry::new())
        .unwrap()
        .plugin("test/numbers");
    let (live, candidate) = (Arc::<Numbers>::default(), Arc::<Numbers>::default());
    let filter = ShadowFilter::new(Arc::clone(&live) as _, Arc::clone(&candidate) as _, &telemetry);
    (live, candidate, filter)
}

/// One exchange through a filter that does not wait.
#[derive(Default)]
struct Passing {
    exchange: Exchange,
    kept: Option<Kept>,
}

impl Passing {
    /// The number that the chunk got.
    async fn chunk(&mut self, filter: &dyn Filter) -> String {
        let call = Call {
            phase: Phase::RequestBody(Chunk {
                bytes: "chunk".into(),
                end: false,
            }),
            exchange: std::mem::take(&mut self.exchange),
            kept: self.kept.take(),
        };
        let finished = complete(filter, call).await;
        self.exchange = finished.exchange;
        self.kept = finished.kept;
        String::from_utf8(self.exchange.take_body().unwrap().to_vec()).unwrap()
    }
}

#[test]
fn a_shadow_that_was_too_far_behind_is_not_compared_for_the_rest_of_the_exchange() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let (_, _, filter) = shadowed();
    let (tasks, mut passing) = (LocalSet::new(), Passing::default());
    tasks.block_on(&runtime, async {
        // The shadow has no turn before the first pause.
        for number in 1..=MAX_BEHIND + 3 {
            assert_eq!(passing.chunk(&filter).await, number.to_string());
        }
        for _ in 0..MAX_BEHIND {
            yield_now().await;
        }
        for number in MAX_BEHIND + 4..=MAX_BEHIND + 9 {
            assert_eq!(passing.chunk(&filter).await, number.to_string());
        }
    });
    drop(passing);
    runtime.block_on(tasks);
    assert_eq!(
        filter.report().summary(),
        format!("{MAX_BEHIND} decisions equal, 0 different")
    );
}

#[test]
fn a_shadow_that_keeps_up_is_compared_to_the_end() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let (_, _, filter) = shadowed();
    let (tasks, mut passing) = (LocalSet::new(), Passing::default());
    tasks.block_on(&runtime, async {
        for _ in 0..3 {
            for _ in 0..MAX_BEHIND {
                passing.chunk(&filter).await;
            }
            for _ in 0..MAX_BEHIND {
                yield_now().await;
            }
        }
    });
    drop(passing);
    runtime.block_on(tasks);
    let all = 3 * MAX_BEHIND;
    assert_eq!(
        filter.report().summary(),
        format!("{all} decisions equal, 0 different")
    );
}

#[test]
fn a_failure_that_the_chain_found_is_the_live_filters_alone() {
    let (live, candidate, filter) = shadowed();
    filter.count_failure(FailureReason::NoReply);
    let counted = |it: &Numbers| it.failures.load(Ordering::Relaxed);
    assert_eq!((counted(&live), counted(&candidate)), (1, 0));
}

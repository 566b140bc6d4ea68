//! One instance serves many configurations, and forgets those that are gone.

use std::future::poll_fn;
use std::sync::Arc;

use crate::harness::{Calls as _, component, exchange, filter, load, plugin, runtime, values, worker};
use weir_filter::{Action, BodyPlan, Filter};

/// Answers every request head with `whole`, whose limit is 1000 times the live slots plus the calls it has served.
const COUNTER: &str = r#"(module
  (memory (export "memory") 1)
  (global $slots (mut i64) (i64.const 0))
  (global $calls (mut i64) (i64.const 0))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
  (func (export "weir:policy/filter@0.1.0#configure") (param i32 i32 i32) (result i32)
    (global.set $slots (i64.add (global.get $slots) (i64.const 1)))
    (i32.store8 (i32.const 20) (i32.const 1))
    i32.const 16)
  (func (export "weir:policy/filter@0.1.0#forget") (param i32)
    (global.set $slots (i64.sub (global.get $slots) (i64.const 1))))
  (func (export "weir:policy/filter@0.1.0#on-request-head") (param i32) (result i32)
    (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
    (i32.store8 (i32.const 32) (i32.const 2))
    (i64.store (i32.const 40)
      (i64.add (global.get $calls) (i64.mul (i64.const 1000) (global.get $slots))))
    i32.const 32)
  (func (export "weir:policy/filter@0.1.0#on-response-head") (param i32) (result i32) i32.const 64)
  (func (export "weir:policy/filter@0.1.0#on-request-body") (param i32 i32 i32 i32) (result i32) i32.const 0)
  (func (export "weir:policy/filter@0.1.0#on-response-body") (param i32 i32 i32 i32) (result i32) i32.const 0)
  (func (export "weir:policy/filter@0.1.0#on-request-trailers") (param i32) (result i32) i32.const 0)
  (func (export "weir:policy/filter@0.1.0#on-response-trailers") (param i32) (result i32) i32.const 0)
  (func (export "weir:policy/filter@0.1.0#on-log") (param i32)))"#;

fn counter() -> Vec<u8> {
    let wit = "package test:slot; world counter { export weir:policy/filter@0.1.0; }";
    component(wit, "counter", Some(COUNTER))
}

/// Live slots and calls of the instance that serves `filter` on this thread.
fn count(filter: &Arc<dyn Filter>) -> (u64, u64) {
    match filter.on_request_head(&mut exchange(&[])).unwrap() {
        Action::Body(BodyPlan::Whole { limit, .. }) => (limit / 1000, limit % 1000),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_configurations_share_an_instance_without_mixing() {
    let plugin = load(&runtime(), "config_echo");
    let (a, b) = (filter(&plugin, "a"), filter(&plugin, "b"));
    let mut exchange = exchange(&[]);
    for it in [&a, &b, &a] {
        it.on_request_head(&mut exchange).unwrap();
    }
    assert_eq!(values(&exchange.request.headers, "x-config"), ["a", "b", "a"]);
}

#[test]
fn an_instance_meets_a_configuration_once() {
    let plugin = runtime().load(&plugin("counter"), &counter()).unwrap();
    let (a, b) = (filter(&plugin, "a"), filter(&plugin, "b"));
    assert_eq!(count(&a), (1, 1));
    assert_eq!(count(&a), (1, 2));
    assert_eq!(count(&b), (2, 3));
}

#[test]
fn slots_of_dropped_filters_are_forgotten() {
    let plugin = runtime().load(&plugin("counter"), &counter()).unwrap();
    let kept = filter(&plugin, "kept");
    count(&kept);
    for turn in 0..100 {
        let reloaded = filter(&plugin, &turn.to_string());
        assert_eq!(count(&reloaded).0, 2, "the kept one and the reloaded one");
    }
    assert_eq!(count(&kept).0, 1);
}

#[test]
fn an_instance_is_replaced_after_its_calls() {
    let mut short_lived = plugin("counter");
    short_lived.recycle.calls = 3;
    let plugin = runtime().load(&short_lived, &counter()).unwrap();
    let filter = filter(&plugin, "a");
    let calls: Vec<_> = (0..7).map(|_| count(&filter).1).collect();
    assert_eq!(calls, [1, 2, 3, 1, 2, 3, 1]);
}

#[test]
fn the_same_bytes_keep_their_warm_instances_when_loaded_again() {
    let runtime = runtime();
    let first = runtime.load(&plugin("counter"), &counter()).unwrap();
    let old = filter(&first, "a");
    count(&old);
    let second = runtime.load(&plugin("counter"), &counter()).unwrap();
    assert_eq!(count(&filter(&second, "a")).1, 2);
}

#[test]
fn notes_belong_to_one_filter_of_one_exchange() {
    use weir_filter::{Chain, HeadOutcome, Step};
    use weir_model::FailureMode;

    let plugin = load(&runtime(), "notes");
    let step = |word: &str| Step {
        filter: filter(&plugin, word),
        failure_mode: FailureMode::Closed,
    };
    let chain = Chain::new(vec![step("first"), step("second")]);
    for _ in 0..2 {
        let mut run = chain.start(exchange(&[]));
        worker(async {
            let outcome = poll_fn(|cx| chain.poll_request_head(&mut run, cx)).await;
            assert!(matches!(outcome, HeadOutcome::Done));
            let outcome = poll_fn(|cx| chain.poll_response_head(&mut run, cx)).await;
            assert!(matches!(outcome, HeadOutcome::Done));
        });
        assert_eq!(
            values(&run.exchange().response.headers, "x-note"),
            ["second /api/x?y=1 false", "first /api/x?y=1 false"]
        );
    }
}

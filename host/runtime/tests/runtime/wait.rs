//! Calls that wait, and calls that do not let go: what others of their worker notice, and how they end.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::task::{LocalSet, yield_now};
use weir_filter::{Action, Chain, FailureReason, Filter, FilterError, HeadOutcome, Phase, Run, StreamEvent};
use weir_model::{Capability, ChainFilter, Limits, Plugin};
use weir_runtime::{EngineConfig, Runtime};

use crate::harness::{
    Answer, Backend, Calls as _, LIMITS, TextPolicy, backends, call, chain_filter, closed_chain, custom,
    drive_until, exchange, exchange_with, filter, load, measured, plugin, runtime, series, worker,
};

/// A `fetch` filter with these limits.
fn fetching(runtime: &Runtime, limits: Limits) -> Arc<dyn Filter> {
    let change = |plugin: &mut Plugin, filter: &mut ChainFilter| {
        plugin.capabilities = vec![Capability::Upstream];
        filter.backends = backends();
        filter.limits = limits;
    };
    custom(runtime, "fetch", "backend=echo", change).1
}

#[test]
fn a_spinning_guest_lets_others_of_its_worker_work_until_its_deadline() {
    let runtime = runtime();
    let spin = filter(&load(&runtime, "spin"), "request-head");
    let quick = filter(&load(&runtime, "headers"), "a");
    let (done, calls) = (Rc::new(Cell::new(false)), Cell::new(0));
    let ended = done.clone();
    worker(LocalSet::new().run_until(async {
        let spinning = tokio::task::spawn_local(async move {
            let finished = call(&spin, Phase::RequestHead, exchange(&[])).await;
            ended.set(true);
            finished.result.unwrap_err().reason
        });
        yield_now().await;
        while !done.get() {
            call(&quick, Phase::RequestHead, exchange(&[]))
                .await
                .result
                .unwrap();
            calls.update(|it| it + 1);
            yield_now().await;
        }
        assert_eq!(spinning.await.unwrap(), FailureReason::Deadline);
    }));
    // One each slice at least: a slice is a millisecond, the deadline 500 of CPU time.
    assert!(calls.get() > 50, "{}", calls.get());
}

/// A request head of this filter that waits for a backend.
async fn stuck(filter: &Arc<dyn Filter>, backend: &Arc<Backend>) -> (Chain, Run) {
    let chain = closed_chain([Arc::clone(filter)]);
    let mut run = chain.start(exchange_with(backend, &[]));
    drive_until(&chain, &mut run, || backend.was_asked()).await;
    (chain, run)
}

#[test]
fn a_call_that_waits_does_not_hold_up_its_worker() {
    let backend = Backend::new([Answer::Never]);
    let filter = fetching(&runtime(), LIMITS);
    worker(async {
        let (chain, mut run) = stuck(&filter, &backend).await;
        let finished = call(&filter, Phase::RequestHead, exchange_with(&backend, &[])).await;
        assert_eq!(finished.exchange.request.headers["x-fetch-status"], "200");
        let polled = poll_fn(|cx| Poll::Ready(chain.poll_request_head(&mut run, cx))).await;
        assert!(polled.is_pending());
    });
}

#[test]
fn the_calls_of_one_filter_take_no_instance_from_another() {
    let backend = Backend::new([Answer::Never]);
    let runtime = runtime();
    let filter = |instances| fetching(&runtime, Limits { instances, ..LIMITS });
    let (busy, other) = (filter(8), filter(1));
    worker(async {
        let _stuck = stuck(&busy, &backend).await;
        let finished = call(&other, Phase::RequestHead, exchange_with(&backend, &[])).await;
        finished.result.unwrap();
    });
}

#[test]
fn a_call_that_is_given_up_is_counted() {
    let backend = Backend::new([Answer::Never]);
    let (runtime, registry) = measured(EngineConfig::small());
    let filter = fetching(&runtime, LIMITS);
    worker(async { drop(stuck(&filter, &backend).await) });
    let calls = r#"weir_plugin_call_duration_seconds_count{plugin="test/fetch",phase="request_head"}"#;
    assert_eq!(series(&registry, calls), 1.0);
}

#[test]
fn the_wall_time_ends_a_call_that_waits() {
    let backend = Backend::new([Answer::Never]);
    let timeout = Duration::from_millis(20);
    let filter = fetching(&runtime(), Limits { timeout, ..LIMITS });
    let mut exchange = exchange_with(&backend, &[("x-in", "yes")]);
    let error = filter.on_request_head(&mut exchange).unwrap_err();
    assert_eq!(error.reason, FailureReason::Timeout);
    assert_eq!(error.message, "one call took longer than 20ms");
    assert_eq!(exchange.request.headers["x-in"], "yes", "the exchange survives");
    assert_eq!(backend.dropped(), 1, "the callout ends with the call");
    filter.on_request_head(&mut exchange).unwrap();
}

#[test]
fn the_wall_time_ends_a_call_that_spins_although_it_has_cpu_time_left() {
    let runtime = runtime();
    let change = |_: &mut Plugin, filter: &mut ChainFilter| {
        filter.limits.deadline = Duration::from_secs(60);
        filter.limits.timeout = Duration::from_millis(20);
    };
    let (_, spin) = custom(&runtime, "spin", "request-head", change);
    let error = spin.on_request_head(&mut exchange(&[])).unwrap_err();
    assert_eq!(error.reason, FailureReason::Timeout);
}

#[test]
fn waiting_costs_no_cpu_time() {
    let limits = Limits {
        deadline: Duration::from_millis(50),
        ..LIMITS
    };
    let filter = fetching(&runtime(), limits);
    let backend = Backend::new([Answer::After(limits.deadline * 3), Answer::After(limits.deadline)]);
    let mut exchange = exchange_with(&backend, &[("x-fetch", "calls=3")]);
    filter.on_request_head(&mut exchange).unwrap();
    assert_eq!(exchange.request.headers["x-fetch-status"], "200,200,200");
}

/// Sets `x-edit`, then never ends.
fn edits_and_spins() -> Vec<u8> {
    let parts = r#"(import "weir:policy/request@0.1.0" "set-header" (func $set (param i32 i32 i32 i32)))
        (data (i32.const 512) "x-edityes")"#;
    let head = "(call $set (i32.const 512) (i32.const 6) (i32.const 518) (i32.const 3))
        (loop $ever (br $ever))";
    TextPolicy {
        imports: &["request"],
        parts,
        head,
        ..TextPolicy::default()
    }
    .bytes()
}

#[test]
fn an_abandoned_call_gives_its_exchange_back_with_its_edits_and_loses_its_instance() {
    let (runtime, registry) = measured(EngineConfig::small());
    let plugin = runtime.load(&plugin("text"), &edits_and_spins()).unwrap();
    let chain = closed_chain([plugin.filter(&chain_filter("")).unwrap()]);
    worker(async {
        for turn in 1..=3 {
            let mut run = chain.start(exchange(&[("x-in", "yes")]));
            let starts = r#"weir_plugin_cold_starts_total{plugin="test/text"}"#;
            let started = || series(&registry, starts) == f64::from(turn);
            drive_until(&chain, &mut run, started).await;
            // It edits first of all; by now it has had a slice or two.
            drive_until(&chain, &mut run, started).await;
            let instances = || series(&registry, r#"weir_plugin_instances{plugin="test/text"}"#);
            assert_eq!(instances(), 1.0);
            let headers = &run.exchange().request.headers;
            assert_eq!(
                (&headers["x-in"], &headers["x-edit"]),
                (&"yes".parse().unwrap(), &"yes".parse().unwrap())
            );
            assert_eq!(instances(), 0.0, "its guest stands still in the middle of a call");
        }
    });
}

#[test]
fn an_exchange_that_goes_away_ends_its_call() {
    let backend = Backend::new([Answer::Never]);
    let chain = closed_chain([fetching(&runtime(), LIMITS)]);
    worker(async {
        let mut run = chain.start(exchange_with(&backend, &[]));
        drive_until(&chain, &mut run, || backend.was_asked()).await;
        assert_eq!(backend.dropped(), 0);
        drop(run);
        assert_eq!(backend.dropped(), 1);
        let mut run = chain.start(exchange_with(&backend, &[]));
        let outcome = poll_fn(|cx| chain.poll_request_head(&mut run, cx)).await;
        assert!(matches!(outcome, HeadOutcome::Done));
    });
}

#[test]
fn an_instance_that_is_given_up_while_it_is_made_ready_is_not_used_again() {
    let (runtime, registry) = measured(EngineConfig::small());
    let slow = load(&runtime, "slow_start");
    let filter = filter(&slow, "configure=20000000");
    worker(async {
        let mut first = Box::pin(call(&filter, Phase::ResponseHead, exchange(&[])));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(
            first.as_mut().poll(&mut cx).is_pending(),
            "it is being configured"
        );
        drop(first);
        let instances = || series(&registry, r#"weir_plugin_instances{plugin="test/slow_start"}"#);
        assert_eq!(instances(), 0.0);
        let finished = call(&filter, Phase::ResponseHead, exchange(&[])).await;
        assert_eq!(finished.exchange.response.headers["x-slow-start"], "ran");
        assert_eq!(instances(), 1.0);
    });
}

/// Opens a stream that is over at once, and receives its end for ever.
fn receives_for_ever() -> Vec<u8> {
    let parts = r#"
        (import "weir:policy/grpc@0.1.0" "open" (func $open
          (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
        (import "weir:policy/grpc@0.1.0" "receive" (func $receive (param i32 i32)))
        (data (i32.const 512) "echo")"#;
    let head = "
        (call $open (i32.const 512) (i32.const 4) (i32.const 512) (i32.const 4) (i32.const 512) (i32.const 4)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 128))
        (loop $ever
          (call $receive (i32.load (i32.const 132)) (i32.const 256))
          (br $ever))";
    TextPolicy {
        imports: &["grpc"],
        parts,
        head,
        ..TextPolicy::default()
    }
    .bytes()
}

#[test]
fn a_guest_that_asks_the_host_all_the_time_cannot_put_off_its_deadline() {
    let (report, ended) = mpsc::channel();
    thread::spawn(move || {
        let mut plugin = plugin("text");
        plugin.capabilities = vec![Capability::Upstream];
        let plugin = runtime().load(&plugin, &receives_for_ever()).unwrap();
        let mut filter = chain_filter("");
        filter.capabilities = vec![Capability::Upstream];
        filter.backends = backends();
        filter.limits.deadline = Duration::from_millis(100);
        let filter = plugin.filter(&filter).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let head = StreamEvent::Head(StatusCode::OK, HeaderMap::new());
        let backend = Backend::streaming([head, StreamEvent::Trailers(trailers)]);
        let mut exchange = exchange_with(&backend, &[]);
        let result: Result<Action, FilterError> = filter.on_request_head(&mut exchange);
        assert_eq!(backend.asked().len(), 1, "the stream was opened");
        report.send(result.unwrap_err().reason).unwrap();
    });
    // Thirty times its deadline, for a machine that is busy with other tests.
    let reason = ended.recv_timeout(Duration::from_secs(3));
    assert_eq!(
        reason,
        Ok(FailureReason::Deadline),
        "or else it has its worker for ever"
    );
}

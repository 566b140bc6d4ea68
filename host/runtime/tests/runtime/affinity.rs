//! Instances that stay with an exchange from its first phase to its last.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use weir_filter::{BodyOutcome, Chain, Chunk, Direction, FailureReason, HeadOutcome, Run, StepIndex};
use weir_model::{ChainFilter, Plugin};
use weir_runtime::{EngineConfig, Runtime};
use weir_telemetry::Registry;

use crate::harness::{
    TextPolicy, chain_filter, closed_chain, custom, exchange, measured, plugin, runtime, series, worker,
};

fn chain(runtime: &Runtime, config: &str, calls: u32) -> Chain {
    let change = |plugin: &mut Plugin, _: &mut ChainFilter| plugin.recycle.calls = calls;
    closed_chain([custom(runtime, "affinity_exchange", config, change).1])
}

fn request(chain: &Chain, path: &str) -> Run {
    let mut exchange = exchange(&[]);
    assert!(exchange.request.set_path_and_query(path));
    let mut run = chain.start(exchange);
    worker(poll_fn(|cx| chain.poll_request_head(&mut run, cx)));
    run
}

/// Path, calls and exchanges that the instance knows of in the response head.
fn response(chain: &Chain, run: &mut Run) -> String {
    worker(poll_fn(|cx| chain.poll_response_head(run, cx)));
    let headers = &run.exchange().response.headers;
    ["x-path", "x-calls", "x-exchanges"]
        .map(|name| headers[name].to_str().unwrap())
        .join(" ")
}

fn instances(registry: &Registry) -> f64 {
    series(
        registry,
        r#"weir_plugin_instances{plugin="test/affinity_exchange"}"#,
    )
}

#[test]
fn every_exchange_under_way_has_an_instance_of_its_own() {
    let (runtime, registry) = measured(EngineConfig::small());
    let chain = chain(&runtime, "", 100);
    let mut runs: Vec<_> = ["/a", "/b", "/c"].map(|path| request(&chain, path)).into();
    assert_eq!(instances(&registry), 3.0);
    let seen: Vec<_> = runs.iter_mut().map(|run| response(&chain, run)).collect();
    assert_eq!(seen, ["/a 2 1", "/b 2 1", "/c 2 1"]);
    drop(runs);
    let mut next = request(&chain, "/d");
    assert_eq!(
        response(&chain, &mut next),
        "/d 2 2",
        "it is warm when its exchange is over"
    );
    assert_eq!(instances(&registry), 3.0);
}

#[test]
fn an_instance_for_calls_is_shared_by_exchanges_under_way() {
    let (runtime, registry) = measured(EngineConfig::small());
    let chain = chain(&runtime, "call", 100);
    let mut first = request(&chain, "/a");
    let _second = request(&chain, "/b");
    assert_eq!(response(&chain, &mut first), "/b 2 2");
    assert_eq!(instances(&registry), 1.0);
}

#[test]
fn it_sees_the_bodies_too() {
    let chain = chain(&runtime(), "bodies", 100);
    let mut run = request(&chain, "/a");
    let chunk = |bytes: &'static str, end| Chunk {
        bytes: Bytes::from_static(bytes.as_bytes()),
        end,
    };
    worker(async {
        let request = [chunk("123", false), chunk("45", true)];
        for chunk in &request {
            poll_fn(|cx| chain.poll_body(&mut run, Direction::Request, StepIndex(0), chunk, cx)).await;
        }
        let head = poll_fn(|cx| chain.poll_response_head(&mut run, cx)).await;
        assert!(matches!(head, HeadOutcome::Body(..)));
        let last = chunk("6", true);
        let body =
            poll_fn(|cx| chain.poll_body(&mut run, Direction::Response, StepIndex(0), &last, cx)).await;
        assert!(matches!(body, BodyOutcome::Pass(bytes) if bytes == "6calls=5 bytes=6"));
    });
}

#[test]
fn it_is_not_replaced_before_its_exchange_is_over() {
    let (runtime, registry) = measured(EngineConfig::small());
    let chain = chain(&runtime, "", 1);
    for path in ["/a", "/b"] {
        let mut run = request(&chain, path);
        assert_eq!(response(&chain, &mut run), format!("{path} 2 1"));
        assert_eq!(instances(&registry), 1.0);
        drop(run);
        assert_eq!(instances(&registry), 0.0, "it has served enough calls");
    }
    let recycled = r#"weir_plugin_recycles_total{plugin="test/affinity_exchange",cause="calls"}"#;
    assert_eq!(series(&registry, recycled), 2.0);
}

#[test]
fn an_exchange_fails_rather_than_go_on_with_another_instance() {
    let (runtime, registry) = measured(EngineConfig::small());
    let bytes = TextPolicy {
        forget: "unreachable",
        ..TextPolicy::default()
    }
    .bytes();
    let plugin = runtime.load(&plugin("text"), &bytes).unwrap();
    let filter = |config: &str| plugin.filter(&chain_filter(config)).unwrap();
    let (kept, dropped) = (filter("kept"), closed_chain([filter("dropped")]));
    let chain = closed_chain([kept]);
    worker(async {
        let mut run = dropped.start(exchange(&[]));
        poll_fn(|cx| dropped.poll_request_head(&mut run, cx)).await;
        drop(run);
        let mut run = chain.start(exchange(&[]));
        poll_fn(|cx| chain.poll_request_head(&mut run, cx)).await;
        drop(dropped);
        let outcome = poll_fn(|cx| chain.poll_response_head(&mut run, cx)).await;
        assert!(
            matches!(&outcome, HeadOutcome::Failed(_, error) if error.reason == FailureReason::Trap),
            "{outcome:?}"
        );
    });
    let recycled = r#"weir_plugin_recycles_total{plugin="test/text",cause="fault"}"#;
    assert_eq!(series(&registry, recycled), 1.0);
}

#[test]
fn it_is_not_used_again_when_its_exchange_ends_while_it_is_made_ready() {
    let (runtime, registry) = measured(EngineConfig::small());
    let bytes = TextPolicy {
        forget: "(loop $ever (br $ever))",
        ..TextPolicy::default()
    }
    .bytes();
    let plugin = runtime.load(&plugin("text"), &bytes).unwrap();
    let filter = |config: &str| plugin.filter(&chain_filter(config)).unwrap();
    let (kept, dropped) = (filter("kept"), filter("dropped"));
    let chain = closed_chain([Arc::clone(&kept)]);
    let instances = || series(&registry, r#"weir_plugin_instances{plugin="test/text"}"#);
    worker(async {
        let both = closed_chain([dropped]);
        let mut run = both.start(exchange(&[]));
        poll_fn(|cx| both.poll_request_head(&mut run, cx)).await;
        drop(run);
        let mut run = chain.start(exchange(&[]));
        poll_fn(|cx| chain.poll_request_head(&mut run, cx)).await;
        assert_eq!(instances(), 1.0, "it knows both configurations");
        drop(both);
        let polled = poll_fn(|cx| Poll::Ready(chain.poll_response_head(&mut run, cx))).await;
        assert!(polled.is_pending(), "it forgets for ever");
        drop(run);
        assert_eq!(instances(), 0.0);
    });
}

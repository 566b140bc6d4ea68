//! Trailers, and replies from every phase.

use std::future::poll_fn;

use bytes::Bytes;
use weir_filter::{BodyOutcome, Chunk, Direction, HeadOutcome, Reply, Run, StepIndex, TrailersOutcome};

use crate::harness::{closed_chain, exchange, filter, load, runtime, values, worker};

/// Runs the trailers phase of one direction with these trailers in the exchange.
fn trailers(
    config: &str,
    direction: Direction,
    fields: &[(&'static str, &'static str)],
) -> (TrailersOutcome, Run) {
    let chain = closed_chain([filter(&load(&runtime(), "trailers"), config)]);
    let mut run = chain.start(exchange(&[]));
    let outcome = worker(async {
        poll_fn(|cx| chain.poll_request_head(&mut run, cx)).await;
        let exchange = run.exchange();
        let trailers = match direction {
            Direction::Request => &mut exchange.request_trailers,
            Direction::Response => &mut exchange.response_trailers,
        };
        for (name, value) in fields {
            trailers.append(*name, value.parse().unwrap());
        }
        poll_fn(|cx| chain.poll_trailers(&mut run, direction, cx)).await
    });
    (outcome, run)
}

#[test]
fn trailers_of_both_messages_are_read_and_edited() {
    for (name, direction) in [("request", Direction::Request), ("response", Direction::Response)] {
        let config = format!("{name}-seen {name}-set=x-a:new {name}-append=x-b:2 {name}-remove=x-c");
        let (outcome, mut run) = trailers(&config, direction, &[("x-a", "old"), ("x-b", "1"), ("x-c", "1")]);
        assert!(matches!(outcome, TrailersOutcome::Done), "{outcome:?}");
        let exchange = run.exchange();
        let (edited, other) = match direction {
            Direction::Request => (&exchange.request_trailers, &exchange.response_trailers),
            Direction::Response => (&exchange.response_trailers, &exchange.request_trailers),
        };
        assert_eq!(values(edited, "x-seen"), ["x-a=old;x-b=1;x-c=1"]);
        assert_eq!(values(edited, "x-a"), ["new"]);
        assert_eq!(values(edited, "x-b"), ["1", "2"]);
        assert!(!edited.contains_key("x-c"));
        assert!(other.is_empty());
    }
}

#[test]
fn framing_and_pseudo_fields_are_no_trailers() {
    let config = "request-set=content-length:5 request-set=transfer-encoding:chunked request-append=:path:/ \
                  request-set=trailer:x request-set=x-kept:1";
    let (_, mut run) = trailers(config, Direction::Request, &[]);
    assert_eq!(
        run.exchange().request_trailers.keys().collect::<Vec<_>>(),
        ["x-kept"]
    );
}

#[test]
fn a_trailers_phase_can_reply() {
    for (name, direction) in [("request", Direction::Request), ("response", Direction::Response)] {
        let (outcome, _) = trailers(&format!("{name}-reply"), direction, &[("x-a", "1")]);
        let TrailersOutcome::Reply(reply) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((reply.status.as_u16(), &reply.body[..]), (422, &b"x-a=1"[..]));
    }
}

/// The reply of `reply_anywhere` in that phase.
fn replied(phase: &str) -> Box<Reply> {
    let config = format!("at={phase} status=451 body=from-{phase}");
    let chain = closed_chain([filter(&load(&runtime(), "reply_anywhere"), &config)]);
    let mut run = chain.start(exchange(&[]));
    let chunk = Chunk {
        bytes: Bytes::from_static(b"chunk"),
        end: true,
    };
    worker(async {
        let mut head = poll_fn(|cx| chain.poll_request_head(&mut run, cx)).await;
        let direction = if phase.starts_with("request") {
            Direction::Request
        } else {
            head = poll_fn(|cx| chain.poll_response_head(&mut run, cx)).await;
            Direction::Response
        };
        match (head, phase) {
            (HeadOutcome::Reply(_, reply), "request-head" | "response-head") => reply,
            (HeadOutcome::Body(..), "request-body" | "response-body") => {
                let first = StepIndex(0);
                let body = poll_fn(|cx| chain.poll_body(&mut run, direction, first, &chunk, cx)).await;
                let BodyOutcome::Reply(reply) = body else {
                    panic!("{body:?}")
                };
                reply
            }
            (HeadOutcome::Done, _) => {
                match poll_fn(|cx| chain.poll_trailers(&mut run, direction, cx)).await {
                    TrailersOutcome::Reply(reply) => reply,
                    other => panic!("{other:?}"),
                }
            }
            (other, _) => panic!("{phase}: {other:?}"),
        }
    })
}

#[test]
fn every_phase_but_the_last_can_reply() {
    for phase in [
        "request-head",
        "request-body",
        "request-trailers",
        "response-head",
        "response-body",
        "response-trailers",
    ] {
        let reply = replied(phase);
        assert_eq!(reply.status.as_u16(), 451);
        assert_eq!(reply.headers["x-replied-from"], phase);
        assert_eq!(reply.body, format!("from-{phase}"));
    }
}

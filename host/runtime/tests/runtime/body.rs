//! Body plans, staged bodies and staged replies.

use bytes::Bytes;
use weir_filter::{Action, BodyPlan, Oversize, Phases};
use weir_model::Limits;

use crate::harness::{Calls as _, exchange, filter, load, runtime};

fn plan(config: &str) -> Action {
    filter(&load(&runtime(), "body_upper"), config)
        .on_request_head(&mut exchange(&[]))
        .unwrap()
}

#[test]
fn a_plan_without_a_limit_gets_the_filters_own() {
    let (limit, oversize) = (Limits::DEFAULT.body, Oversize::Reject);
    assert_eq!(
        plan("request whole"),
        Action::Body(BodyPlan::Whole { limit, oversize })
    );
}

#[test]
fn a_larger_limit_than_the_filters_own_is_lowered() {
    let (limit, oversize) = (Limits::DEFAULT.body, Oversize::Skip);
    assert_eq!(
        plan("request whole limit=99999999999 skip"),
        Action::Body(BodyPlan::Whole { limit, oversize })
    );
    let (limit, oversize) = (7, Oversize::Stream);
    assert_eq!(
        plan("request whole limit=7 stream-instead"),
        Action::Body(BodyPlan::Whole { limit, oversize })
    );
}

#[test]
fn a_chunk_is_replaced_by_the_staged_one() {
    let upper = filter(&load(&runtime(), "body_upper"), "request chunks");
    assert_eq!(upper.phases(), Phases::REQUEST_HEAD | Phases::REQUEST_BODY);
    let mut exchange = exchange(&[]);
    assert_eq!(
        upper.on_request_head(&mut exchange).unwrap(),
        Action::Body(BodyPlan::Chunks)
    );
    for size in [0, 5, 1 << 20] {
        let chunk = Bytes::from(vec![b'x'; size]);
        assert_eq!(
            upper.on_request_body(&mut exchange, &chunk, size == 0).unwrap(),
            Action::Next
        );
        assert_eq!(exchange.take_body().unwrap(), vec![b'X'; size]);
    }
}

#[test]
fn a_reply_is_staged_with_its_fields_and_body() {
    let plugin = load(&runtime(), "replier");
    let mut exchange = exchange(&[]);
    assert_eq!(
        filter(&plugin, "request-head")
            .on_request_head(&mut exchange)
            .unwrap(),
        Action::Reply
    );
    let reply = exchange.take_reply().unwrap();
    assert_eq!(reply.status, 418);
    assert_eq!(reply.headers["x-replier"], "request-head");
    assert_eq!(reply.body, "from request-head\n");

    let last = Bytes::new();
    let body = filter(&plugin, "response-body");
    assert_eq!(
        body.on_response_body(&mut exchange, &last, true).unwrap(),
        Action::Reply
    );
    assert_eq!(exchange.take_reply().unwrap().body, "from response-body\n");
}

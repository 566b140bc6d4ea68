//! Bodies that filters asked for, and bodies that nobody asked for.

use std::io::Write;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::StatusCode;
use weir_filter::{Action, BodyPlan, Exchange, Oversize, Reply};
use weir_harness::Origin;

use crate::support::{Head, Native, Proxy, Setup};

fn planned(plan: BodyPlan) -> Head {
    Box::new(move |_| Ok(Action::Body(plan)))
}

fn shouting(exchange: &mut Exchange, chunk: &Bytes) -> Action {
    exchange.stage_body(chunk.to_ascii_uppercase().into());
    Action::Next
}

fn shout_request(plan: BodyPlan) -> Native {
    Native {
        request_head: Some(planned(plan)),
        request_body: Some(Box::new(|exchange, chunk, _| Ok(shouting(exchange, chunk)))),
        ..Native::default()
    }
}

fn shout_response(plan: BodyPlan) -> Native {
    Native {
        response_head: Some(planned(plan)),
        response_body: Some(Box::new(|exchange, chunk, _| Ok(shouting(exchange, chunk)))),
        ..Native::default()
    }
}

fn whole(limit: u64, oversize: Oversize) -> BodyPlan {
    BodyPlan::Whole { limit, oversize }
}

#[test]
fn a_body_is_changed_whole_or_in_chunks_in_both_directions() {
    for plan in [whole(1 << 20, Oversize::Reject), BodyPlan::Chunks] {
        let origin = Origin::echo("a");
        let proxy = Proxy::start(
            Setup::to(origin.address)
                .filter(shout_request(plan))
                .filter(shout_response(plan)),
        );
        let answer = proxy.client().post("/", "", "hello");
        assert_eq!(origin.seen.last().text(), "HELLO", "{plan:?}");
        assert!(
            answer.text().starts_with("A\nPOST / HTTP/1.1"),
            "{plan:?}: {}",
            answer.text()
        );
    }
}

#[test]
fn an_oversized_body_is_refused_skipped_or_streamed() {
    let big = "x".repeat(100);
    let check = |oversize, status, seen: Option<&str>| {
        let origin = Origin::echo("a");
        let proxy = Proxy::start(Setup::to(origin.address).filter(shout_request(whole(10, oversize))));
        assert_eq!(
            proxy.client().post("/", "", &big).status(),
            status,
            "{oversize:?}"
        );
        assert_eq!(
            origin.seen.requests().last().map(|it| it.text()).as_deref(),
            seen,
            "{oversize:?}"
        );
    };
    check(Oversize::Reject, 413, None);
    check(Oversize::Skip, 200, Some(&big));
    check(Oversize::Stream, 200, Some(&big.to_uppercase()));
}

#[test]
fn an_oversized_response_is_the_gateways_fault() {
    let origin = Origin::echo("a");
    let proxy = Proxy::start(Setup::to(origin.address).filter(shout_response(whole(4, Oversize::Reject))));
    assert_eq!(proxy.client().get("/", "").status(), 500);
}

#[test]
fn filters_see_the_body_in_the_order_of_the_chain() {
    let append = |suffix: &'static str, plan| Native {
        request_head: Some(planned(plan)),
        request_body: Some(Box::new(move |exchange, chunk, end| {
            if end {
                exchange.stage_body([chunk.as_ref(), suffix.as_bytes()].concat().into());
            }
            Ok(Action::Next)
        })),
        ..Native::default()
    };
    let plan = whole(100, Oversize::Reject);
    let origin = Origin::echo("a");
    let setup = Setup::to(origin.address)
        .filter(append("1", BodyPlan::Chunks))
        .filter(append("2", plan))
        .filter(append("3", BodyPlan::Chunks))
        .filter(append("4", plan));
    Proxy::start(setup).client().post("/", "", "0");
    assert_eq!(origin.seen.last().text(), "01234");
}

#[test]
fn a_reply_from_the_body_phase_reaches_the_client() {
    for plan in [whole(100, Oversize::Reject), BodyPlan::Chunks] {
        let origin = Origin::echo("a");
        let refusing = Native {
            request_head: Some(planned(plan)),
            request_body: Some(Box::new(|exchange, _, _| {
                exchange.stage_reply(Reply::new(StatusCode::UNPROCESSABLE_ENTITY));
                Ok(Action::Reply)
            })),
            ..Native::default()
        };
        let proxy = Proxy::start(Setup::to(origin.address).filter(refusing));
        assert_eq!(proxy.client().post("/", "", "hello").status(), 422, "{plan:?}");
        assert!(origin.seen.requests().is_empty(), "{plan:?}");
    }
}

#[test]
fn a_body_that_nobody_asked_for_streams() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let origin = Origin::start(move |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")?;
        gate.lock()
            .expect("no panic while locked")
            .recv()
            .expect("the test is still there");
        stream.write_all(b"4\r\nlast\r\n0\r\n\r\n")?;
        Ok(true)
    });
    let proxy = Proxy::start(Setup::to(origin.address));
    let mut client = proxy.client();
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    // The head and the first chunk must come through while the origin still holds back the rest; the
    // origin goes on only after this thread has read them.
    let head = client.read_until("first");
    assert!(head.contains("200 OK"));
    go.send(()).unwrap();
    client.read_until("last");
}

#[test]
fn trailers_pass_with_and_without_filters() {
    let respond = b"HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n";
    for filtered in [false, true] {
        let origin = Origin::answering(move |_| respond);
        let mut setup = Setup::to(origin.address);
        if filtered {
            setup = setup.filter(shout_response(BodyPlan::Chunks));
        }
        let proxy = Proxy::start(setup);
        let mut client = proxy.client();
        for _ in 0..3 {
            let answer = client.exchange("GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n");
            assert_eq!(answer.text(), if filtered { "HI" } else { "hi" });
            assert_eq!(
                answer.trailers,
                [("x-sum".to_owned(), "7".to_owned())],
                "filtered: {filtered}"
            );
        }
        assert_eq!(
            origin.seen.connections(),
            1,
            "a response with trailers gives its connection back"
        );
    }
}

#[test]
fn a_message_that_cannot_carry_a_body_gets_none_from_a_filter() {
    let origin = Origin::answering(|request| match request.line.as_str() {
        "HEAD / HTTP/1.1" => "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n",
        _ => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    });
    let filling = Native {
        response_head: Some(planned(whole(100, Oversize::Reject))),
        response_body: Some(Box::new(|exchange, _, _| {
            exchange.stage_body("a body".into());
            if exchange.request.path_and_query() == "/204" {
                exchange.response.status = Some(StatusCode::NO_CONTENT);
            }
            Ok(Action::Next)
        })),
        ..Native::default()
    };
    let proxy = Proxy::start(Setup::to(origin.address).filter(filling));
    let mut client = proxy.client();
    let head = client.exchange("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(
        (head.status(), head.header("content-length")),
        (200, None),
        "not the length that a GET would have"
    );
    let none = client.get("/204", "");
    assert_eq!(
        (
            none.status(),
            none.header("content-length"),
            none.header("transfer-encoding")
        ),
        (204, None, None)
    );
    assert_eq!(
        client.get("/", "").text(),
        "a body",
        "the connection is still in order"
    );
}

//! Trailers phases, in both directions.

use std::sync::{Arc, Mutex};

use http::{HeaderValue, StatusCode};
use weir_filter::{Action, BodyPlan, Exchange, FailureReason, FilterError, Oversize, Reply};
use weir_harness::{Origin, eventually};
use weir_model::FailureMode;

use crate::support::{Head, Native, Proxy, Setup};

const REQUEST: &str = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nte: trailers\r\n\r\n5\r\nhello\r\n0\r\nx-one: 1\r\nx-two: 2\r\n\r\n";

const RESPONSE: &str = "HTTP/1.1 200 OK\r\ntrailer: x-one, x-two, x-three\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-one: 1\r\nx-two: 2\r\n\r\n";

/// Edits `x-one`, removes `x-two` and adds `x-three`.
fn edit(trailers: &mut http::HeaderMap) {
    assert_eq!(trailers.len(), 2, "{trailers:?}");
    trailers.insert("x-one", HeaderValue::from_static("edited"));
    trailers.remove("x-two");
    trailers.insert("x-three", HeaderValue::from_static("added"));
    // Not a filter's either.
    trailers.insert("content-length", HeaderValue::from_static("9"));
}

fn edited() -> Vec<(String, String)> {
    [("x-one", "edited"), ("x-three", "added")]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .to_vec()
}

fn in_request(act: impl Fn(&mut Exchange) -> Result<Action, FilterError> + Send + Sync + 'static) -> Native {
    Native {
        request_trailers: Some(Box::new(act)),
        ..Native::default()
    }
}

fn in_response(act: impl Fn(&mut Exchange) -> Result<Action, FilterError> + Send + Sync + 'static) -> Native {
    Native {
        response_trailers: Some(Box::new(act)),
        ..Native::default()
    }
}

fn failing() -> FilterError {
    FilterError {
        filter: "native".to_owned(),
        reason: FailureReason::Trap,
        message: "for the test".to_owned(),
    }
}

fn whole() -> Head {
    Box::new(|_| {
        Ok(Action::Body(BodyPlan::Whole {
            limit: 100,
            oversize: Oversize::Reject,
        }))
    })
}

#[test]
fn trailers_of_a_request_are_edited_with_and_without_a_whole_body() {
    for collected in [false, true] {
        let mut filter = in_request(|it| {
            edit(&mut it.request_trailers);
            Ok(Action::Next)
        });
        if collected {
            filter.request_head = Some(whole());
            filter.request_body = Some(Box::new(|it, bytes, _| {
                it.stage_body(bytes.to_ascii_uppercase().into());
                Ok(Action::Next)
            }));
        }
        let origin = Origin::echo("a");
        let proxy = Proxy::start(Setup::to(origin.address).filter(filter));
        assert_eq!(proxy.client().exchange(REQUEST).status(), 200);
        let seen = origin.seen.last();
        assert_eq!(seen.text(), if collected { "HELLO" } else { "hello" });
        assert_eq!(seen.trailers, edited(), "collected: {collected}");
    }
}

#[test]
fn trailers_of_a_response_are_edited_with_and_without_a_whole_body() {
    for collected in [false, true] {
        let mut filter = in_response(|it| {
            edit(&mut it.response_trailers);
            Ok(Action::Next)
        });
        if collected {
            filter.response_head = Some(whole());
            filter.response_body = Some(Box::new(|it, bytes, _| {
                it.stage_body(bytes.to_ascii_uppercase().into());
                Ok(Action::Next)
            }));
        }
        let origin = Origin::answering(|_| RESPONSE);
        let proxy = Proxy::start(Setup::to(origin.address).filter(filter));
        let answer = proxy.client().exchange(REQUEST);
        assert_eq!(answer.text(), if collected { "HI" } else { "hi" });
        assert_eq!(answer.trailers, edited(), "collected: {collected}");
    }
}

#[test]
fn a_message_may_lose_all_its_trailers() {
    let clearing = Native {
        request_trailers: Some(Box::new(|it| {
            it.request_trailers.clear();
            Ok(Action::Next)
        })),
        response_trailers: Some(Box::new(|it| {
            it.response_trailers.clear();
            Ok(Action::Next)
        })),
        ..Native::default()
    };
    let origin = Origin::answering(|_| RESPONSE);
    let proxy = Proxy::start(Setup::to(origin.address).filter(clearing));
    let answer = proxy.client().exchange(REQUEST);
    assert_eq!((answer.text().as_str(), answer.trailers), ("hi", Vec::new()));
    let seen = origin.seen.last();
    assert_eq!((seen.text().as_str(), seen.trailers), ("hello", Vec::new()));
}

#[test]
fn a_reply_from_the_trailers_of_a_request_takes_the_responses_place() {
    let origin = Origin::echo("a");
    let refusing = in_request(|it| {
        it.stage_reply(Reply::new(StatusCode::IM_A_TEAPOT));
        Ok(Action::Reply)
    });
    let proxy = Proxy::start(Setup::to(origin.address).filter(refusing));
    assert_eq!(proxy.client().exchange(REQUEST).status(), 418);
    assert!(origin.seen.requests().is_empty(), "it never got the end");
}

#[test]
fn a_failure_in_the_trailers_of_a_request_follows_its_failure_mode() {
    for (mode, status) in [(FailureMode::Closed, 500), (FailureMode::Open, 200)] {
        let origin = Origin::echo("a");
        let proxy = Proxy::start(Setup::to(origin.address).filter_with(in_request(|_| Err(failing())), mode));
        assert_eq!(proxy.client().exchange(REQUEST).status(), status, "{mode}");
    }
}

#[test]
fn a_failure_in_the_trailers_of_a_response_breaks_it_or_is_left_out() {
    let lines = Arc::<Mutex<Vec<_>>>::default();
    let failing = || Native {
        log: Some(Box::new({
            let lines = Arc::clone(&lines);
            move |it| lines.lock().unwrap().push(it.facts.reason.map(|it| it.as_str()))
        })),
        ..in_response(|_| Err(failing()))
    };
    let origin = Origin::answering(|_| RESPONSE);
    let open = Proxy::start(Setup::to(origin.address).filter_with(failing(), FailureMode::Open));
    assert_eq!(open.client().exchange(REQUEST).trailers.len(), 2);
    let closed = Proxy::start(Setup::to(origin.address).filter_with(failing(), FailureMode::Closed));
    let mut client = closed.client();
    client.write(REQUEST.as_bytes()).unwrap();
    assert!(
        client.read(false).is_err(),
        "the client can tell that it is not whole"
    );
    let lines = eventually("two lines", || {
        Some(lines.lock().unwrap().clone()).filter(|it| it.len() == 2)
    });
    assert_eq!(lines, [None, Some("filter_trap")]);
}

#[test]
fn a_log_sees_the_trailers_that_no_other_filter_asks_for() {
    let lines = Arc::<Mutex<Vec<_>>>::default();
    let logging = Native {
        log: Some(Box::new({
            let lines = Arc::clone(&lines);
            move |it| {
                let counts = (it.request_trailers.len(), it.response_trailers.len());
                lines.lock().unwrap().push(counts);
            }
        })),
        ..Native::default()
    };
    let origin = Origin::answering(|_| RESPONSE);
    let proxy = Proxy::start(Setup::to(origin.address).filter(logging));
    assert_eq!(proxy.client().exchange(REQUEST).trailers.len(), 2);
    assert_eq!(eventually("a line", || lines.lock().unwrap().pop()), (2, 2));
}

//! Filters on the path of a request.

use std::sync::{Arc, Mutex};

use http::{HeaderValue, StatusCode};
use weir_filter::{Action, BodyPlan, FailureReason, FilterError, Oversize, Reason, Reply};
use weir_harness::{Origin, eventually};
use weir_model::FailureMode;

use crate::support::{Native, Proxy, Setup};

fn failing(filter: &str) -> FilterError {
    FilterError {
        filter: filter.to_owned(),
        reason: FailureReason::Trap,
        message: "for the test".to_owned(),
    }
}

/// Sets `x-mark` on the request and `x-back` on the response.
fn marking() -> Native {
    Native {
        request_head: Some(Box::new(|exchange| {
            exchange
                .request
                .headers
                .insert("x-mark", HeaderValue::from_static("1"));
            Ok(Action::Next)
        })),
        response_head: Some(Box::new(|exchange| {
            exchange
                .response
                .headers
                .insert("x-back", HeaderValue::from_static("1"));
            Ok(Action::Next)
        })),
        ..Native::default()
    }
}

fn replying() -> Native {
    Native {
        request_head: Some(Box::new(|exchange| {
            exchange.stage_reply(Reply {
                body: "no".into(),
                ..Reply::new(StatusCode::FORBIDDEN)
            });
            Ok(Action::Reply)
        })),
        ..Native::default()
    }
}

fn trapping() -> Native {
    Native {
        request_head: Some(Box::new(|_| Err(failing("native")))),
        ..Native::default()
    }
}

#[test]
fn a_filter_edits_both_heads() {
    let origin = Origin::echo("a");
    let proxy = Proxy::start(Setup::to(origin.address).filter(marking()));
    let answer = proxy.client().get("/", "");
    assert_eq!(origin.seen.last().header("x-mark"), Some("1"));
    assert_eq!(answer.header("x-back"), Some("1"));
}

#[test]
fn a_filter_rewrites_what_the_upstream_is_asked() {
    let origin = Origin::echo("a");
    let rewriting = Native {
        request_head: Some(Box::new(|exchange| {
            assert!(exchange.request.set_path_and_query("/new?x=1"));
            assert!(exchange.request.set_authority("inner.example"));
            exchange.request.method = http::Method::PUT;
            Ok(Action::Next)
        })),
        ..Native::default()
    };
    let proxy = Proxy::start(Setup::to(origin.address).filter(rewriting));
    proxy.client().get("/old", "");
    let seen = origin.seen.last();
    assert_eq!(
        (seen.line.as_str(), seen.header("host")),
        ("PUT /new?x=1 HTTP/1.1", Some("inner.example"))
    );
}

#[test]
fn a_reply_ends_the_way_and_earlier_filters_see_it() {
    let origin = Origin::echo("a");
    let proxy = Proxy::start(Setup::to(origin.address).filter(marking()).filter(replying()));
    let answer = proxy.client().get("/", "");
    assert_eq!(
        (answer.status(), answer.text().as_str(), answer.header("x-back")),
        (403, "no", Some("1"))
    );
    assert!(origin.seen.requests().is_empty());
}

#[test]
fn a_failure_follows_the_failure_mode_of_its_own_filter() {
    let origin = Origin::echo("a");
    let closed = Proxy::start(Setup::to(origin.address).filter(trapping()));
    assert_eq!(closed.client().get("/", "").status(), 500);
    let open = Proxy::start(Setup::to(origin.address).filter_with(trapping(), FailureMode::Open));
    assert_eq!(open.client().get("/", "").status(), 200);
    let guarded = Setup::to(origin.address)
        .filter_with(trapping(), FailureMode::Open)
        .filter(replying());
    assert_eq!(
        Proxy::start(guarded).client().get("/", "").status(),
        403,
        "the neighbour still decides"
    );
}

#[test]
fn what_the_gateway_answers_itself_passes_the_response_phases_too() {
    let proxy = Proxy::start(Setup::new().route("/", &[(None, 1)]).filter(marking()));
    let answer = proxy.client().get("/", "");
    assert_eq!((answer.status(), answer.header("x-back")), (500, Some("1")));
}

#[test]
fn the_log_phase_sees_every_exchange_with_its_facts() {
    let origin = Origin::echo("a");
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let logging = |lines: &Arc<Mutex<Vec<String>>>| {
        let lines = Arc::clone(lines);
        Native {
            log: Some(Box::new(move |exchange| {
                let facts = &exchange.facts;
                lines.lock().unwrap().push(format!(
                    "{} {} {:?} {:?} in={} out={} {:?}",
                    exchange.request.path_and_query(),
                    exchange.response.status.unwrap().as_u16(),
                    facts.route.as_deref(),
                    facts.upstream_remote.is_some(),
                    facts.bytes_received,
                    facts.bytes_sent,
                    facts.reason.map(Reason::as_str),
                ));
            })),
            ..Native::default()
        }
    };
    let setup = Setup::new()
        .route("/a", &[(Some(&[origin.address]), 1)])
        .listener_filter(logging(&lines));
    let proxy = Proxy::start(setup);
    let mut client = proxy.client();
    let sent = client.post("/a", "", "12345").body.len();
    client.get("/none", "");
    proxy
        .client()
        .exchange("GET /refused HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n");
    let lines = eventually("three lines", || {
        Some(lines.lock().unwrap().clone()).filter(|it| it.len() == 3)
    });
    assert_eq!(
        lines[0],
        format!("/a 200 Some(\"route/a\") true in=5 out={sent} None")
    );
    assert!(
        lines[1].starts_with("/none 404 None false in=0 out="),
        "{}",
        lines[1]
    );
    assert!(lines[1].ends_with("Some(\"no_route\")"), "{}", lines[1]);
}

#[test]
fn a_response_that_breaks_off_is_logged_with_its_reason_and_bytes_count_once() {
    let broken = Origin::start(|_, stream| {
        use std::io::Write;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")?;
        Ok(false)
    });
    let whole = Origin::answering(|_| "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let logging = |plan: Option<BodyPlan>| Native {
        log: Some(Box::new({
            let lines = Arc::clone(&lines);
            move |exchange| {
                let facts = &exchange.facts;
                let reason = facts.reason.map(Reason::as_str);
                lines
                    .lock()
                    .unwrap()
                    .push(format!("{} {reason:?}", facts.bytes_sent));
            }
        })),
        response_head: Some(Box::new(move |_| Ok(plan.map_or(Action::Next, Action::Body)))),
        response_body: Some(Box::new(|_, _, _| Ok(Action::Next))),
        ..Native::default()
    };
    let collected = Some(BodyPlan::Whole {
        limit: 100,
        oversize: Oversize::Skip,
    });
    let setup = Setup::new()
        .route("/whole", &[(Some(&[whole.address]), 1)])
        .filter(logging(collected))
        .route("/broken", &[(Some(&[broken.address]), 1)])
        .filter(logging(None));
    let proxy = Proxy::start(setup);
    assert_eq!(proxy.client().get("/whole", "").text(), "hello");
    let mut client = proxy.client();
    client.write(b"GET /broken HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert!(client.read(false).is_err());
    let lines = eventually("two lines", || {
        Some(lines.lock().unwrap().clone()).filter(|it| it.len() == 2)
    });
    assert_eq!(lines, ["5 None", "5 Some(\"upstream_reset\")"]);
}

#[test]
fn a_reply_of_the_gateway_says_why_only_where_that_is_switched_on() {
    let origin = Origin::echo("a");
    let failing = || Native {
        request_head: Some(Box::new(|_| {
            Err(FilterError {
                filter: "default/geo".to_owned(),
                reason: FailureReason::Trap,
                message: "guest text".to_owned(),
            })
        })),
        ..Native::default()
    };
    for (shown, expect) in [(false, None), (true, Some("filter_trap; detail=\"default/geo\""))] {
        let mut setup = Setup::to(origin.address).filter(failing());
        setup.snapshot.detail_header = shown;
        let answer = Proxy::start(setup).client().get("/", "");
        assert_eq!((answer.status(), answer.header("x-weir-reason")), (500, expect));
    }
    let mut setup = Setup::to(origin.address);
    setup.snapshot.detail_header = true;
    let answer = Proxy::start(setup).client().get("/", "");
    assert_eq!(
        answer.header("x-weir-reason"),
        None,
        "an upstream's answer has no reason"
    );
}

//! Requests of filters to backends.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use weir_filter::{CalloutRequest, Phases};
use weir_harness::{Origin, eventually, read_message};

use crate::support::{Native, Proxy, Setup};
use crate::waiting::{Waits, get};

/// Makes one callout in the request-head phase and replies with what came of it, described.
fn asking(request: impl Fn() -> CalloutRequest + Send + Sync + 'static) -> Waits {
    Waits::new(Phases::REQUEST_HEAD, move |_, lent| {
        let fetched = lent.callouts().fetch("asked", request());
        async move {
            let described = match fetched.await {
                Ok(it) => format!(
                    "{} {:?} {} {:?}",
                    it.status.as_u16(),
                    it.headers.get("x-kind"),
                    String::from_utf8_lossy(&it.body),
                    it.trailers.get("x-sum"),
                ),
                Err(error) => error.as_str().to_owned(),
            };
            lent.reply(described)
        }
    })
}

/// What a callout to this endpoint came to.
fn asked(at: SocketAddr, request: impl Fn() -> CalloutRequest + Send + Sync + 'static) -> String {
    let setup = Setup::to(at).cluster("asked", &[at]).filter(asking(request));
    Proxy::start(setup).client().get("/", "").text()
}

/// An address where nothing listens.
fn nobody() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

#[test]
fn a_response_arrives_whole_with_fields_and_trailers() {
    let check = |response: &'static str, expect: &str| {
        let origin = Origin::answering(move |_| response);
        assert_eq!(asked(origin.address, || get("/")), expect, "{response:?}");
    };
    check(
        "HTTP/1.1 200 OK\r\nx-kind: a\r\ncontent-length: 5\r\n\r\nhello",
        "200 Some(\"a\") hello None",
    );
    check(
        "HTTP/1.1 403 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nx-sum: 7\r\n\r\n",
        "403 None hello Some(\"7\")",
    );
    check("HTTP/1.1 204 No Content\r\n\r\n", "204 None  None");
}

#[test]
fn a_request_is_sent_with_its_body_and_the_gateways_framing() {
    let origin = Origin::echo("a");
    let body = "x".repeat(1 << 20);
    let sent = Bytes::from(body.clone());
    asked(origin.address, move || {
        let mut request = CalloutRequest {
            method: Method::POST,
            authority: "auth.example".to_owned(),
            body: sent.clone(),
            ..get("/check?x=1")
        };
        for (name, value) in [
            ("host", "evil"),
            ("content-length", "1"),
            ("connection", "x"),
            ("x", "1"),
            ("y", "2"),
        ] {
            request.headers.insert(name, HeaderValue::from_static(value));
        }
        request
    });
    let seen = origin.seen.last();
    assert_eq!(seen.line, "POST /check?x=1 HTTP/1.1");
    let fields: Vec<_> = seen.headers.iter().map(|(n, v)| format!("{n}: {v}")).collect();
    assert_eq!(fields, ["host: auth.example", "y: 2", "content-length: 1048576"]);
    assert!(seen.text() == body);
}

#[test]
fn without_an_authority_the_endpoint_sees_the_cluster() {
    let origin = Origin::echo("a");
    asked(origin.address, || get("/"));
    assert_eq!(origin.seen.last().header("host"), Some("asked"));
}

#[test]
fn what_goes_wrong_has_a_name() {
    let silent = Origin::raw(|stream| stream.read_to_end(&mut Vec::new()).map(drop));
    let dripping = Origin::raw(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    });
    let large = Origin::answering(|_| "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789");
    let chunked = Origin::answering(
        |_| "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n4\r\n6789\r\n0\r\n\r\n",
    );
    let broken = Origin::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")?;
        Ok(false)
    });
    let closing = Origin::start(|_, _| Ok(false));
    let strange = Origin::answering(|_| "SSH-2.0-OpenSSH\r\n\r\n");
    let soon = || CalloutRequest {
        timeout: Duration::from_millis(200),
        ..get("/")
    };
    let small = || CalloutRequest {
        largest_response: 8,
        ..get("/")
    };
    assert_eq!(asked(silent.address, soon), "timeout");
    assert_eq!(asked(dripping.address, soon), "timeout");
    assert_eq!(asked(large.address, small), "too_large");
    assert_eq!(asked(chunked.address, small), "too_large");
    assert_eq!(asked(nobody(), || get("/")), "connect");
    for origin in [broken, closing, strange] {
        assert_eq!(asked(origin.address, || get("/")), "reset");
    }
}

#[test]
fn a_request_that_cannot_be_sent_is_not() {
    let check = |request: fn() -> CalloutRequest| {
        let origin = Origin::echo("a");
        assert_eq!(asked(origin.address, request), "invalid");
        assert_eq!(origin.seen.connections(), 0);
    };
    check(|| get(""));
    check(|| get("relative"));
    check(|| get("/a b"));
    check(|| get("/a\r\nx: y"));
    check(|| CalloutRequest {
        method: Method::CONNECT,
        ..get("/")
    });
    check(|| CalloutRequest {
        authority: "a b".to_owned(),
        ..get("/")
    });
}

#[test]
fn only_clusters_of_the_current_plan_with_an_endpoint_can_be_reached() {
    let origin = Origin::echo("a");
    for setup in [
        Setup::to(origin.address),
        Setup::to(origin.address).cluster("asked", &[]),
    ] {
        let proxy = Proxy::start(setup.filter(asking(|| get("/"))));
        assert_eq!(proxy.client().get("/", "").text(), "connect");
    }
}

#[test]
fn endpoints_take_turns_and_connections_are_kept() {
    let (one, two) = (Origin::echo("one"), Origin::echo("two"));
    let setup = Setup::to(one.address)
        .cluster("asked", &[one.address, two.address])
        .filter(asking(|| get("/")));
    let proxy = Proxy::start(setup);
    let mut client = proxy.client();
    for _ in 0..10 {
        client.get("/", "");
    }
    for origin in [one, two] {
        assert_eq!((origin.seen.requests().len(), origin.seen.connections()), (5, 1));
    }
}

#[test]
fn a_stale_connection_is_replaced_where_the_request_may_be_repeated() {
    let check = |method: Method, expect: &str| {
        // Each connection answers once and closes on its second request.
        let origin = Origin::raw(|stream| {
            let mut requests = BufReader::new(stream.try_clone()?);
            read_message(&mut requests, false)?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")?;
            read_message(&mut requests, false).map(drop)
        });
        let setup = Setup::to(origin.address)
            .cluster("asked", &[origin.address])
            .filter(asking(move || CalloutRequest {
                method: method.clone(),
                ..get("/")
            }));
        let proxy = Proxy::start(setup);
        let mut client = proxy.client();
        assert_eq!(client.get("/", "").text(), "200 None hello None");
        assert_eq!(client.get("/", "").text(), expect);
    };
    check(Method::GET, "200 None hello None");
    check(Method::POST, "reset");
}

#[test]
fn a_client_that_leaves_ends_the_callout_and_is_logged() {
    let (closed, gone) = mpsc::channel();
    let closed = Mutex::new(closed);
    let (arrived, began) = mpsc::channel();
    let arrived = Mutex::new(arrived);
    let origin = Origin::raw(move |stream| {
        stream.read_exact(&mut [0; 16])?;
        arrived.lock().unwrap().send(()).unwrap();
        stream.read_to_end(&mut Vec::new())?;
        closed.lock().unwrap().send(()).unwrap();
        Ok(())
    });
    let (log, logged) = mpsc::channel();
    let logging = Native {
        log: Some(Box::new({
            let log = Mutex::new(log);
            move |exchange| {
                let path = exchange.request.path_and_query().to_owned();
                log.lock().unwrap().send(path).unwrap();
            }
        })),
        ..Native::default()
    };
    let setup = Setup::to(origin.address)
        .cluster("asked", &[origin.address])
        .filter(logging)
        .filter(asking(|| get("/")));
    let proxy = Proxy::start(setup);
    let mut client = proxy.client();
    client.write(b"GET /left HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    began
        .recv_timeout(Duration::from_secs(10))
        .expect("the callout is on its way");
    drop(client);
    gone.recv_timeout(Duration::from_secs(10))
        .expect("its connection is closed");
    assert_eq!(logged.recv_timeout(Duration::from_secs(10)).unwrap(), "/left");
}

#[test]
fn a_thousand_callouts_wait_at_once_on_one_worker() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let origin = Origin::start(move |_, stream| {
        // Closed, not sent: it opens for everybody.
        let _ = gate.lock().unwrap().recv();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
        Ok(true)
    });
    let setup = Setup::to(origin.address)
        .cluster("asked", &[origin.address])
        .filter(asking(|| get("/")));
    let proxy = Proxy::start(setup);
    let mut clients: Vec<_> = (0..1000).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    }
    eventually("all callouts", || {
        (origin.seen.requests().len() == 1000).then_some(())
    });
    drop(go);
    for client in &mut clients {
        assert_eq!(client.read(false).unwrap().text(), "200 None ok None");
    }
}

#[test]
fn a_callout_lives_through_a_new_plan_and_a_drain() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let origin = Origin::start(move |_, stream| {
        gate.lock().unwrap().recv().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")?;
        Ok(true)
    });
    let setup = Setup::to(origin.address)
        .cluster("asked", &[origin.address])
        .filter(asking(|| get("/")));
    let mut proxy = Proxy::start(setup);
    let mut client = proxy.client();
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    eventually("the callout to arrive", || origin.seen.requests().pop());
    proxy.apply(Setup::new());
    let draining = std::thread::spawn(move || proxy.drain(Duration::from_secs(10)));
    go.send(()).unwrap();
    assert_eq!(client.read(false).unwrap().text(), "200 None done None");
    draining.join().unwrap();
}

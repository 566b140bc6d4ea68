//! Upstream connections: reuse, framing, and endpoints that misbehave.

use std::io::{Read, Write};
use std::time::Duration;

use weir_harness::{Origin, eventually};
use weir_proxy::FleetConfig;

use crate::support::{Proxy, Setup};

#[test]
fn connections_are_kept_alive_on_both_sides() {
    let origin = Origin::echo("a");
    let proxy = Proxy::start(Setup::to(origin.address));
    let mut client = proxy.client();
    for _ in 0..20 {
        assert_eq!(client.get("/", "").status(), 200);
    }
    assert_eq!(origin.seen.connections(), 1);
}

#[test]
fn a_connection_that_the_endpoint_closed_is_not_used_again() {
    let origin = Origin::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(false)
    });
    let proxy = Proxy::start(Setup::to(origin.address));
    let mut client = proxy.client();
    assert_eq!(client.get("/", "").status(), 200);
    // The close arrives when it arrives: until then a request may still meet it.
    eventually("a fresh connection", || {
        (client.get("/", "").status() == 200).then_some(())
    });
    assert!(origin.seen.connections() >= 2);
}

#[test]
fn every_framing_of_a_response_arrives_whole() {
    let origin = Origin::start(|request, stream| {
        let path = request.line.split(' ').nth(1).unwrap_or_default();
        stream.write_all(match path {
            "/length" => b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".as_slice(),
            "/chunked" => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            "/close" => b"HTTP/1.1 200 OK\r\n\r\nhello",
            "/204" => b"HTTP/1.1 204 No Content\r\n\r\n",
            "/interim" => b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            _ => b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n",
        })?;
        Ok(path != "/close")
    });
    let proxy = Proxy::start(Setup::to(origin.address));
    let mut client = proxy.client();
    for (path, body) in [
        ("/length", "hello"),
        ("/chunked", "hello"),
        ("/close", "hello"),
        ("/204", ""),
        ("/interim", "hello"),
    ] {
        assert_eq!(client.get(path, "").text(), body, "{path}");
    }
    let head = client.exchange("HEAD /head HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!((head.status(), head.header("content-length")), (200, Some("7")));
    assert_eq!(
        client.get("/length", "").text(),
        "hello",
        "the connection is still in order"
    );
}

#[test]
fn request_bodies_stream_in_both_framings() {
    let origin = Origin::echo("a");
    let proxy = Proxy::start(Setup::to(origin.address));
    let mut client = proxy.client();
    let big = "x".repeat(1 << 20);
    assert!(client.post("/", "", &big).text().ends_with(&big));
    let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert!(client.exchange(chunked).text().ends_with("hello"));
}

#[test]
fn an_endpoint_that_breaks_off_gives_502() {
    let origin = Origin::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nconte")?;
        Ok(false)
    });
    let proxy = Proxy::start(Setup::to(origin.address));
    assert_eq!(proxy.client().get("/", "").status(), 502);
}

#[test]
fn an_endpoint_that_says_nothing_gives_504() {
    let origin = Origin::start(|_, _| {
        std::thread::park_timeout(Duration::from_secs(30));
        Ok(false)
    });
    let config = FleetConfig {
        workers: 1,
        response_timeout: Duration::from_secs(1),
        ..FleetConfig::default()
    };
    let proxy = Proxy::with(&config, Setup::to(origin.address));
    assert_eq!(proxy.client().get("/", "").status(), 504);
}

#[test]
fn a_body_that_breaks_off_breaks_the_response_instead_of_shortening_it() {
    let origin = Origin::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")?;
        Ok(false)
    });
    let proxy = Proxy::start(Setup::to(origin.address));
    let mut client = proxy.client();
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert!(client.read(false).is_err(), "a client must be able to tell");
}

#[test]
fn a_client_that_says_nothing_is_let_go() {
    let origin = Origin::echo("a");
    let config = FleetConfig {
        workers: 1,
        idle_timeout: Duration::from_secs(1),
        ..FleetConfig::default()
    };
    let proxy = Proxy::with(&config, Setup::to(origin.address));
    for sent in ["", "GET / HTTP/1.1\r\nho"] {
        let mut client = proxy.client();
        client.write(sent.as_bytes()).unwrap();
        let error = client.read(false).unwrap_err();
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::UnexpectedEof,
            "{sent:?}: {error}"
        );
    }
}

#[test]
fn an_upload_that_takes_longer_than_the_response_may_is_not_cut_off() {
    let origin = Origin::echo("a");
    let config = FleetConfig {
        workers: 1,
        response_timeout: Duration::from_secs(1),
        ..FleetConfig::default()
    };
    let proxy = Proxy::with(&config, Setup::to(origin.address));
    let mut client = proxy.client();
    client
        .write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 25\r\n\r\n")
        .unwrap();
    for _ in 0..25 {
        std::thread::park_timeout(Duration::from_millis(120));
        client.write(b"x").unwrap();
    }
    assert_eq!(client.read(false).unwrap().status(), 200);
}

#[test]
fn a_body_that_stalls_ends_its_connection() {
    let origin = Origin::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")?;
        std::thread::park_timeout(Duration::from_secs(30));
        Ok(false)
    });
    let config = FleetConfig {
        workers: 1,
        stall_timeout: Duration::from_secs(1),
        ..FleetConfig::default()
    };
    let proxy = Proxy::with(&config, Setup::to(origin.address));
    let mut client = proxy.client();
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert!(client.read(false).is_err());
}

#[test]
fn an_early_response_to_a_large_upload_arrives() {
    let origin = Origin::raw(|stream| {
        let mut head = [0; 64];
        stream.read_exact(&mut head)?;
        stream
            .write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")
    });
    let proxy = Proxy::start(Setup::to(origin.address));
    let mut client = proxy.client();
    client
        .write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 50000000\r\n\r\nfirst bytes")
        .unwrap();
    let answer = client.read(false).unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (413, "big"));
}

#[test]
fn request_trailers_pass_without_what_could_mislead_an_endpoint() {
    let origin = Origin::echo("a");
    let proxy = Proxy::start(Setup::to(origin.address));
    let request = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nauthorization: x\r\nx-sum: 7\r\n\r\n";
    assert_eq!(proxy.client().exchange(request).status(), 200);
    let seen = origin.seen.last();
    assert_eq!(
        (seen.text().as_str(), seen.trailers),
        ("hello", vec![("x-sum".to_owned(), "7".to_owned())])
    );
}

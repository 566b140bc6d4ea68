//! What a proxy must not pass on, on the wire.

use weir_harness::Origin;

use crate::support::{Proxy, Setup};

#[test]
fn hop_by_hop_fields_end_here_and_forwarding_fields_are_added() {
    let origin = Origin::answering(
        |_| "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nx-end: 2\r\n\r\nok",
    );
    let proxy = Proxy::start(Setup::to(origin.address));
    let answer = proxy.client().get(
        "/",
        "connection: x-secret\r\nx-secret: 1\r\nupgrade: websocket\r\nte: trailers\r\nx-forwarded-for: 10.0.0.1\r\n",
    );
    let seen = origin.seen.last();
    for gone in ["connection", "x-secret", "upgrade", "te"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert_eq!(seen.header("x-forwarded-for"), Some("10.0.0.1, 127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(
        (answer.header("x-hop"), answer.header("x-end")),
        (None, Some("2"))
    );
    assert_eq!(answer.header("keep-alive"), None);
}

#[test]
fn ambiguous_requests_are_refused_before_they_reach_anyone() {
    let origin = Origin::echo("a");
    let proxy = Proxy::start(Setup::to(origin.address));
    let check = |request: &str, status: u16| {
        assert_eq!(proxy.client().exchange(request).status(), status, "{request:?}");
    };
    check("GET / HTTP/1.1\r\n\r\n", 400);
    check("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400);
    check(
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
    );
    check(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        400,
    );
    check("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", 501);
    assert!(origin.seen.requests().is_empty());
}

#[test]
fn an_absolute_target_is_routed_by_its_host_in_origin_form() {
    let origin = Origin::echo("a");
    let proxy = Proxy::start(Setup::to(origin.address));
    proxy
        .client()
        .exchange("GET http://real.example/x HTTP/1.1\r\nhost: fake.example\r\n\r\n");
    let seen = origin.seen.last();
    assert_eq!(
        (seen.line.as_str(), seen.header("host")),
        ("GET /x HTTP/1.1", Some("real.example"))
    );
}

#[test]
fn both_lengths_at_once_are_forwarded_as_chunked_only() {
    let origin = Origin::echo("a");
    let proxy = Proxy::start(Setup::to(origin.address));
    let request = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(proxy.client().exchange(request).status(), 200);
    let seen = origin.seen.last();
    assert_eq!(
        (seen.header("content-length"), seen.header("transfer-encoding")),
        (None, Some("chunked"))
    );
    assert_eq!(seen.text(), "hello");
}

#[test]
fn an_old_client_without_a_host_is_served_and_the_upstream_gets_an_empty_one() {
    let origin = Origin::echo("a");
    let proxy = Proxy::start(Setup::to(origin.address));
    assert_eq!(proxy.client().exchange("GET / HTTP/1.0\r\n\r\n").status(), 200);
    assert_eq!(origin.seen.last().header("host"), Some(""));
}

//! Guests of the world `l4` between a client and the gateway.

use weir_harness::{Origin, eventually};

use crate::site::{Site, Wanted};

const fn l4<'a>(guest: &'static str, config: &'a str) -> Wanted<'a> {
    Wanted {
        guest,
        config,
        backend: None,
    }
}

#[test]
fn a_client_that_is_not_allowed_gets_nothing_and_others_everything() {
    let origin = Origin::echo("a");
    let mut site = Site::new();
    site.serve(origin.address, &[l4("l4_allow", "allow=127.0.0.1")]);
    assert!(site.client().get("/", "").text().starts_with('a'));
    let mut site = Site::new();
    site.serve(origin.address, &[l4("l4_allow", "allow=10.1.2.3")]);
    let mut client = site.client();
    // The gateway may have closed already.
    let _ = client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(client.read(false).is_err());
    assert_eq!(origin.seen.requests().len(), 1);
}

#[test]
fn what_a_guest_makes_of_the_bytes_is_what_the_gateway_reads_and_the_client_gets() {
    let origin = Origin::echo("a");
    let mut site = Site::new();
    site.serve(origin.address, &[l4("l4_allow", "close-on=evil upper-upstream")]);
    let mut client = site.client();
    client.write(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    client.read_until("GET /X HTTP/1.1");
    assert_eq!(origin.seen.last().line, "GET /x HTTP/1.1");
    let mut client = site.client();
    client.write(b"GET /evil HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert!(client.read(false).is_err());
    assert_eq!(origin.seen.requests().len(), 1);
}

#[test]
fn a_guest_counts_every_byte_and_hears_the_close() {
    let origin = Origin::answering(|_| "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let mut site = Site::new();
    site.serve(origin.address, &[l4("l4_count", "")]);
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut client = site.client();
    client.exchange(request);
    client.exchange(request);
    drop(client);
    let line = eventually("the close", || site.records().pop());
    assert!(
        line.starts_with("listener=default/test/http client=127.0.0.1:"),
        "{line}"
    );
    assert!(line.contains(&format!(" up={} ", request.len() * 2)), "{line}");
    assert_eq!(site.records().len(), 1);
}

#[test]
fn many_connections_share_the_instances_of_one_worker() {
    let origin = Origin::answering(|_| "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let mut site = Site::new();
    site.serve(origin.address, &[l4("l4_count", "")]);
    // The engine of this site has room for 16 instances.
    let mut clients: Vec<_> = (0..200).map(|_| site.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/", "").text(), "hello");
    }
    // One after the other: more closes at once than the engine has instances would be more than it can count.
    for (closed, client) in clients.into_iter().enumerate() {
        drop(client);
        eventually("its close", || (site.records().len() == closed + 1).then_some(()));
    }
}

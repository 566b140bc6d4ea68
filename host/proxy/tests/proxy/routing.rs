//! From listener and route to a backend.

use std::collections::HashMap;
use std::net::SocketAddr;

use weir_harness::Origin;

use crate::support::{Proxy, Setup};

#[test]
fn a_request_goes_to_the_longest_prefix_and_its_answer_comes_back() {
    let (a, b) = (Origin::echo("a"), Origin::echo("b"));
    let setup = Setup::new()
        .route("/", &[(Some(&[a.address]), 1)])
        .route("/b", &[(Some(&[b.address]), 1)]);
    let proxy = Proxy::start(setup);
    let mut client = proxy.client();
    assert!(client.get("/x", "").text().starts_with("a\nGET /x HTTP/1.1"));
    assert!(
        client
            .get("/b/x?q=1", "")
            .text()
            .starts_with("b\nGET /b/x?q=1 HTTP/1.1")
    );
}

#[test]
fn without_a_route_the_answer_is_404() {
    let origin = Origin::echo("a");
    let proxy = Proxy::start(Setup::new().route("/only", &[(Some(&[origin.address]), 1)]));
    assert_eq!(proxy.client().get("/other", "").status(), 404);
}

#[test]
fn weights_share_the_traffic() {
    let (a, b) = (Origin::echo("a"), Origin::echo("b"));
    let setup = Setup::new().route("/", &[(Some(&[a.address]), 4), (Some(&[b.address]), 1)]);
    let proxy = Proxy::start(setup);
    let mut client = proxy.client();
    let mut counts = HashMap::<char, u32>::new();
    for _ in 0..500 {
        *counts
            .entry(client.get("/", "").text().chars().next().unwrap())
            .or_default() += 1;
    }
    // 400 expected with a standard deviation of 9: ten of them on each side.
    assert!((310..490).contains(&counts[&'a']), "{counts:?}");
}

#[test]
fn endpoints_of_a_cluster_take_turns() {
    let (a, b) = (Origin::echo("a"), Origin::echo("b"));
    let proxy = Proxy::start(Setup::new().route("/", &[(Some(&[a.address, b.address]), 1)]));
    let mut client = proxy.client();
    let order: String = (0..4).map(|_| client.get("/", "").text().remove(0)).collect();
    assert!(["abab", "baba"].contains(&order.as_str()), "{order}");
}

#[test]
fn what_cannot_be_forwarded_is_told_apart() {
    let nobody: &[SocketAddr] = &[];
    let refused = SocketAddr::from(([127, 0, 0, 1], 1));
    let setup = Setup::new()
        .route("/unresolved", &[(None, 1)])
        .route("/nothing", &[])
        .route("/zero", &[(Some(&[refused]), 0)])
        .route("/empty", &[(Some(nobody), 1)])
        .route("/refused", &[(Some(&[refused]), 1)]);
    let proxy = Proxy::start(setup);
    let mut client = proxy.client();
    let expected = [
        ("/unresolved", 500),
        ("/nothing", 500),
        ("/zero", 500),
        ("/empty", 503),
        ("/refused", 503),
    ];
    for (path, status) in expected {
        assert_eq!(client.get(path, "").status(), status, "{path}");
    }
}

//! Plans are swapped without anybody noticing; a drain lets everybody finish.

use std::io::Write;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weir_harness::{Client, Origin, eventually};

use crate::support::{Proxy, Setup};

#[test]
fn a_swap_keeps_connections_and_finishes_requests_by_the_plan_they_began_with() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let old = Origin::start(move |_, stream| {
        gate.lock()
            .expect("no panic while locked")
            .recv()
            .expect("the test is still there");
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nold")?;
        Ok(true)
    });
    let new = Origin::echo("new");
    let mut proxy = Proxy::start(Setup::to(old.address));
    let mut client = proxy.client();
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    eventually("the request to arrive", || old.seen.requests().pop());
    proxy.apply(Setup::to(new.address));
    go.send(()).unwrap();
    assert_eq!(client.read(false).unwrap().text(), "old");
    assert!(
        client.get("/", "").text().starts_with("new"),
        "the same connection, by the new plan"
    );
}

#[test]
fn a_drain_answers_what_is_in_flight_and_refuses_what_is_new() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let origin = Origin::start(move |_, stream| {
        gate.lock()
            .expect("no panic while locked")
            .recv()
            .expect("the test is still there");
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")?;
        Ok(true)
    });
    let proxy = Proxy::start(Setup::to(origin.address));
    let address = proxy.address;
    let mut busy = proxy.client();
    let mut idle = proxy.client();
    busy.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    eventually("the request to arrive", || origin.seen.requests().pop());
    let draining = std::thread::spawn(move || proxy.drain(Duration::from_secs(10)));
    assert!(idle.read(false).is_err(), "an idle connection is closed at once");
    go.send(()).unwrap();
    let answer = busy.read(false).unwrap();
    assert_eq!(
        (answer.text().as_str(), answer.header("connection")),
        ("done", Some("close"))
    );
    draining.join().unwrap();
    assert!(
        std::net::TcpStream::connect(address).is_err(),
        "nobody accepts any more"
    );
}

#[test]
fn a_port_that_another_process_serves_is_an_error_and_changes_nothing() {
    let origin = Origin::echo("a");
    let mut proxy = Proxy::start(Setup::to(origin.address));
    let mut taken = Setup::to(origin.address);
    taken.snapshot.listeners[0].port = origin.address.port();
    let error = proxy.try_apply(taken).unwrap_err();
    assert_eq!(error.address, origin.address);
    assert_eq!(Client::connect(proxy.address).get("/", "").status(), 200);
}

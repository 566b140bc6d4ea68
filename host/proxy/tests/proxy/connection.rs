//! Connection filters between a client's socket and the gateway.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use weir_filter::{
    CalloutRequest, Connection, ConnectionAction, ConnectionCall, ConnectionEvent, ConnectionEvents,
    ConnectionFilter, ConnectionFinished, ConnectionProgress, ConnectionWaiting, Exchange, FetchFuture,
};
use weir_harness::{Client, Origin, eventually};
use weir_model::{FilterIndex, Listener, Stage};
use weir_proxy::misplaced;

use crate::support::{Native, Proxy, Setup};
use crate::waiting::get;

/// What a tap does with an event.
enum Turn {
    Pass,
    /// Hands these bytes on instead.
    Replace(Vec<u8>),
    Close,
    /// Waits for a callout, and passes.
    Ask(CalloutRequest),
}

type Act = Box<dyn Fn(&ConnectionEvent, &Connection) -> Turn + Send + Sync>;

/// A filter made of a closure.
struct Tap {
    events: ConnectionEvents,
    act: Act,
}

/// A tap's call that waits.
struct Asking(FetchFuture, Option<Connection>);

impl Tap {
    fn new(
        events: ConnectionEvents,
        act: impl Fn(&ConnectionEvent, &Connection) -> Turn + Send + Sync + 'static,
    ) -> Self {
        Self {
            events,
            act: Box::new(act),
        }
    }
}

impl ConnectionFilter for Tap {
    fn name(&self) -> &str {
        "tap"
    }

    fn events(&self) -> ConnectionEvents {
        self.events
    }

    fn makes_callouts(&self) -> bool {
        true
    }

    fn call(&self, call: ConnectionCall, cx: &mut Context<'_>) -> ConnectionProgress {
        let mut connection = call.connection;
        let turn = (self.act)(&call.event, &connection);
        let action = match turn {
            Turn::Pass => ConnectionAction::Next,
            Turn::Close => ConnectionAction::Close,
            Turn::Replace(bytes) => {
                connection.stage_data(bytes.into());
                ConnectionAction::Next
            }
            Turn::Ask(request) => {
                let exchange = Exchange::from(connection);
                let asked = exchange.callouts.as_ref().unwrap().fetch("asked", request);
                let mut asking = Asking(asked, Some(exchange.into()));
                return match asking.poll(cx) {
                    Poll::Ready(finished) => ConnectionProgress::Done(finished),
                    Poll::Pending => ConnectionProgress::Waiting(Box::new(asking)),
                };
            }
        };
        ConnectionProgress::Done(ConnectionFinished {
            connection,
            kept: None,
            result: Ok(action),
        })
    }
}

impl ConnectionWaiting for Asking {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionFinished> {
        Pin::new(&mut self.0).poll(cx).map(|answer| ConnectionFinished {
            connection: self.1.take().unwrap(),
            kept: None,
            result: Ok(match answer {
                Ok(_) => ConnectionAction::Next,
                Err(_) => ConnectionAction::Close,
            }),
        })
    }

    fn abandon(self: Box<Self>) -> Connection {
        self.1.unwrap()
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asking")
    }
}

/// Hands on `to` where it finds `from`, in chunks that go that way.
fn replacing(direction: ConnectionEvents, from: &'static str, to: &'static str) -> Tap {
    Tap::new(direction, move |event, _| match event {
        ConnectionEvent::Downstream(chunk) | ConnectionEvent::Upstream(chunk) => {
            let text = String::from_utf8_lossy(&chunk.bytes).replace(from, to);
            Turn::Replace(text.into_bytes())
        }
        _ => Turn::Pass,
    })
}

/// Says what it was told, a line each; of data only how much there was in all and whether it ended.
fn witness() -> (Tap, mpsc::Receiver<String>) {
    let (said, heard) = mpsc::channel();
    let state = Mutex::new((said, 0_usize, 0_usize));
    let tap = Tap::new(ConnectionEvents::all(), move |event, connection| {
        let (said, up, down) = &mut *state.lock().unwrap();
        let line = match event {
            ConnectionEvent::Opened => {
                let listener = connection.facts().listener.as_deref();
                Some(format!("opened on {}", listener.unwrap_or_default()))
            }
            ConnectionEvent::Downstream(chunk) => {
                *up += chunk.bytes.len();
                chunk.end.then(|| "the client ended".to_owned())
            }
            ConnectionEvent::Upstream(chunk) => {
                *down += chunk.bytes.len();
                chunk.end.then(|| "we ended".to_owned())
            }
            ConnectionEvent::Closed => Some(format!("closed after {up} and {down} bytes")),
        };
        if let Some(line) = line {
            said.send(line).unwrap();
        }
        Turn::Pass
    });
    (tap, heard)
}

fn next(heard: &mpsc::Receiver<String>) -> String {
    heard.recv_timeout(Duration::from_secs(10)).unwrap()
}

#[test]
fn a_filter_closes_a_connection_before_anything_is_read() {
    let origin = Origin::echo("a");
    let closing = Tap::new(ConnectionEvents::empty(), |_, _| Turn::Close);
    let proxy = Proxy::start(Setup::to(origin.address).connection_filter(closing));
    let mut client = proxy.client();
    // The gateway may have closed already.
    let _ = client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(client.read(false).is_err());
    assert_eq!(origin.seen.connections(), 0);
}

#[test]
fn a_filter_closes_a_connection_in_the_middle_both_ways() {
    for direction in [ConnectionEvents::DOWNSTREAM_DATA, ConnectionEvents::UPSTREAM_DATA] {
        let origin = Origin::echo("a");
        let closing = Tap::new(direction, |event, _| match event {
            ConnectionEvent::Downstream(chunk) | ConnectionEvent::Upstream(chunk)
                if chunk.bytes.windows(4).any(|it| it == b"evil") =>
            {
                Turn::Close
            }
            _ => Turn::Pass,
        });
        let proxy = Proxy::start(Setup::to(origin.address).connection_filter(closing));
        let mut client = proxy.client();
        assert!(client.get("/good", "").text().contains("/good"));
        client.write(b"GET /evil HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        assert!(client.read(false).is_err());
    }
}

#[test]
fn bytes_are_replaced_each_way_before_the_gateway_reads_and_after_it_wrote() {
    let origin = Origin::echo("a");
    let setup = Setup::to(origin.address)
        .connection_filter(replacing(ConnectionEvents::DOWNSTREAM_DATA, "/one", "/two"))
        .connection_filter(replacing(ConnectionEvents::DOWNSTREAM_DATA, "/two", "/ten"))
        .connection_filter(replacing(ConnectionEvents::UPSTREAM_DATA, "/ten", "/six"));
    let proxy = Proxy::start(setup);
    let answer = proxy.client().get("/one", "").text();
    assert_eq!(origin.seen.last().line, "GET /ten HTTP/1.1");
    assert!(answer.contains("GET /six HTTP/1.1"), "{answer}");
}

#[test]
fn large_bodies_pass_whole_and_the_filter_hears_the_end_and_the_close() {
    let origin = Origin::echo("a");
    let (tap, heard) = witness();
    let proxy = Proxy::start(Setup::to(origin.address).connection_filter(tap));
    let body = "0123456789abcdef".repeat(1 << 17);
    let mut client = proxy.client();
    let answer = client.post("/", "connection: close\r\n", &body);
    assert!(answer.text().ends_with(&body), "{} bytes", answer.text().len());
    drop(client);
    assert_eq!(next(&heard), "opened on test");
    let mut ended = next(&heard);
    while !ended.starts_with("closed") {
        assert!(["the client ended", "we ended"].contains(&&*ended), "{ended}");
        ended = next(&heard);
    }
    let counts: Vec<usize> = ended.split(' ').filter_map(|it| it.parse().ok()).collect();
    assert!(
        counts
            .iter()
            .all(|it| (body.len()..body.len() + 1000).contains(it)),
        "{ended}"
    );
}

#[test]
fn a_filter_hears_that_a_client_left() {
    let origin = Origin::echo("a");
    let (tap, heard) = witness();
    let proxy = Proxy::start(Setup::to(origin.address).connection_filter(tap));
    let mut client = proxy.client();
    client.get("/", "");
    drop(client);
    assert_eq!(next(&heard), "opened on test");
    assert_eq!(next(&heard), "the client ended");
    let mut last = next(&heard);
    if last == "we ended" {
        last = next(&heard);
    }
    assert!(last.starts_with("closed after"), "{last}");
}

/// A tap that lets the first event of that kind wait for its backend, and a backend that answers when told.
fn waiting(is_it: fn(&ConnectionEvent) -> bool) -> (Tap, Origin, mpsc::Sender<()>) {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let backend = Origin::start(move |_, stream| {
        let _ = gate.lock().unwrap().recv();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        Ok(true)
    });
    let first = Mutex::new(true);
    let tap = Tap::new(ConnectionEvents::all(), move |event, _| {
        if is_it(event) && std::mem::take(&mut *first.lock().unwrap()) {
            return Turn::Ask(get("/"));
        }
        Turn::Pass
    });
    (tap, backend, go)
}

#[test]
fn a_call_that_waits_holds_back_its_own_connection_and_no_other() {
    let cases: [fn(&ConnectionEvent) -> bool; 3] = [
        |it| *it == ConnectionEvent::Opened,
        |it| matches!(it, ConnectionEvent::Downstream(_)),
        |it| matches!(it, ConnectionEvent::Upstream(_)),
    ];
    for case in cases {
        let origin = Origin::echo("a");
        let (tap, backend, go) = waiting(case);
        let setup = Setup::to(origin.address)
            .cluster("asked", &[backend.address])
            .connection_filter(tap);
        let proxy = Proxy::start(setup);
        let mut slow = proxy.client();
        slow.write(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        eventually("the callout", || backend.seen.requests().pop());
        assert!(proxy.client().get("/other", "").text().contains("/other"));
        go.send(()).unwrap();
        assert!(slow.read(false).unwrap().text().contains("/slow"));
    }
}

#[test]
fn a_drain_does_not_wait_for_a_connection_that_has_not_begun() {
    let origin = Origin::echo("a");
    let (tap, backend, _go) = waiting(|it| *it == ConnectionEvent::Opened);
    let setup = Setup::to(origin.address)
        .cluster("asked", &[backend.address])
        .connection_filter(tap);
    let proxy = Proxy::start(setup);
    let mut client = proxy.client();
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    eventually("the callout", || backend.seen.requests().pop());
    proxy.drain(Duration::from_secs(60));
    assert!(client.read(false).is_err());
}

#[test]
fn listeners_of_one_socket_share_the_union_of_their_connection_chains_stage_by_stage() {
    let origin = Origin::echo("a");
    let journal = Arc::new(Mutex::new(Vec::new()));
    let tap = |name: &'static str| {
        let journal = Arc::clone(&journal);
        Tap::new(ConnectionEvents::empty(), move |_, connection| {
            let listener = connection
                .facts()
                .listener
                .as_deref()
                .unwrap_or_default()
                .to_owned();
            journal.lock().unwrap().push(format!("{name} of {listener}"));
            Turn::Pass
        })
    };
    let mut setup = Setup::to(origin.address)
        .connection_filter(tap("shared"))
        .connection_filter(tap("last"));
    let second = Listener {
        name: "second".to_owned(),
        hostname: Some("b.example".parse().unwrap()),
        chain: vec![FilterIndex(0)],
        ..setup.snapshot.listeners[0].clone()
    };
    setup.snapshot.listeners.push(second);
    setup = setup.connection_filter(tap("first"));
    setup.snapshot.filters[1].stage = Stage::Route;
    setup.snapshot.filters[2].stage = Stage::Fault;
    let proxy = Proxy::start(setup);
    proxy.client().get("/", "");
    assert_eq!(
        *journal.lock().unwrap(),
        ["first of second", "shared of test", "last of test"]
    );
}

#[test]
fn a_connection_filter_on_a_route_is_reported() {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let pass = || Tap::new(ConnectionEvents::empty(), |_, _| Turn::Pass);
    let mut setup = Setup::to(nowhere)
        .filter(Native::default())
        .connection_filter(pass());
    assert_eq!(misplaced(&setup.snapshot, setup.filters()), []);
    setup.snapshot.routes[0].chain.push(FilterIndex(1));
    let found: Vec<_> = misplaced(&setup.snapshot, setup.filters())
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        [
            "filter tap: its plugin is of the world `weir:policy/l4`, which filters whole connections, and it is \
             attached to the route route/; attach it to the Gateway or to a listener"
        ]
    );
}

#[test]
fn callouts_beside_requests_know_a_plan_before_it_is_live_and_forget_one_that_fails() {
    let origin = Origin::echo("a");
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut fleet = weir_proxy::Fleet::start(&weir_proxy::FleetConfig {
        workers: 1,
        ..weir_proxy::FleetConfig::default()
    })
    .unwrap();
    let callouts = fleet.callouts();
    let mut setup = Setup::new().cluster("asked", &[origin.address]);
    setup.snapshot.listeners[0].port = taken.local_addr().unwrap().port();
    let plan = Arc::new(weir_proxy::Plan::build(&setup.snapshot, setup.filters()));
    runtime.block_on(async {
        assert!(
            callouts.fetch("asked", get("/")).await.is_err(),
            "no such cluster yet"
        );
        fleet.prepare(&plan).await;
        assert!(callouts.fetch("asked", get("/")).await.is_ok());
        fleet.apply(plan).await.unwrap_err();
        assert!(
            callouts.fetch("asked", get("/")).await.is_err(),
            "it did not go live"
        );
        fleet.drain(Duration::ZERO).await;
        assert!(
            callouts.fetch("asked", get("/")).await.is_err(),
            "nobody is there"
        );
    });
    assert!(
        Client::connect(origin.address)
            .get("/", "")
            .text()
            .starts_with('a')
    );
}

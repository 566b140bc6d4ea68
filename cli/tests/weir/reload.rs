//! Changes under traffic: good ones take effect, bad ones keep the last good configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use weir_harness::{Client, Origin, eventually};

use crate::harness::{Folder, Weir, free_port, gateway, policy, route};

/// Clients that send request after request, each on one connection, until told to stop.
struct Traffic {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU32>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Traffic {
    fn start(weir: &Weir, path: &'static str, allowed: &'static [u16]) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let address = weir.address;
        let threads = (0..4).map(|_| {
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                while !stop.load(Ordering::SeqCst) {
                    let status = client.get(path, "").status();
                    assert!(allowed.contains(&status), "{status} under a change");
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        Self {
            threads: threads.collect(),
            stop,
            sent,
        }
    }

    /// Lets every client send some more, so that a change that hurts is noticed.
    fn go_on(&self) {
        let until = self.sent.load(Ordering::SeqCst) + 40;
        eventually("more requests", || {
            (self.sent.load(Ordering::SeqCst) >= until).then_some(())
        });
    }

    fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.threads
            .into_iter()
            .for_each(|thread| thread.join().expect("no request failed"));
    }
}

/// Asks until the answer fits, and checks that it did so soon.
fn within_a_second(what: &str, mut fits: impl FnMut() -> bool) {
    let start = Instant::now();
    eventually(what, || fits().then_some(()));
    // Twice the promise: a test build on a busy machine compiles plugins slowly.
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{what} took {:?}",
        start.elapsed()
    );
}

#[test]
fn a_changed_manifest_takes_effect_without_a_failed_request() {
    let (old, new) = (Origin::echo("old"), Origin::echo("new"));
    let port = free_port();
    let manifests = |origin: &Origin| gateway(port) + &route("a", "/", origin.address);
    let folder = Folder::new(&manifests(&old));
    let weir = Weir::start(&folder, port);
    let traffic = Traffic::start(&weir, "/", &[200]);
    traffic.go_on();
    folder.write("gateway.yaml", manifests(&new));
    let mut client = weir.client();
    within_a_second("the new backend", || {
        client.get("/", "").text().starts_with("new")
    });
    traffic.go_on();
    traffic.end();
}

#[test]
fn who_serves_traffic_goes_before_who_prepares_plugins() {
    let origin = Origin::echo("a");
    let port = free_port();
    let weir = Weir::start(
        &Folder::new(&(gateway(port) + &route("p", "/", origin.address))),
        port,
    );
    let workers = weir.niceness("worker-");
    let [usual, same] = workers[..] else {
        panic!("{workers:?}")
    };
    assert_eq!((usual, weir.niceness("weir-epoch")), (same, vec![usual]));
    let control = weir.niceness("tokio-rt");
    assert!(!control.is_empty());
    assert!(
        control.iter().all(|it| *it == (usual + 10).min(19)),
        "{control:?} beside {usual}"
    );
}

#[test]
fn an_overwritten_plugin_takes_effect_and_a_broken_one_does_not() {
    let origin = Origin::echo("a");
    let port = free_port();
    let folder =
        Folder::new(&(gateway(port) + &route("p", "/", origin.address) + &policy("p", "request-head", "")));
    folder.plugin("p.wasm", "headers");
    let weir = Weir::start(&folder, port);
    let mut client = weir.client();
    assert!(client.get("/", "").header("x-response-request-head").is_some());
    let traffic = Traffic::start(&weir, "/", &[200, 418]);

    folder.write("p.wasm", b"not a component");
    eventually("the failure in the status", || {
        weir.status().contains("LoadFailed").then_some(())
    });
    assert!(weir.stderr().contains("plugin default/p"), "{}", weir.stderr());
    assert!(
        client.get("/", "").header("x-response-request-head").is_some(),
        "the last good one stays"
    );

    // A config that the new code refuses is as bad as code that does not load.
    folder.plugin("p.wasm", "refuses");
    eventually("the refusal in the status", || {
        weir.status().contains("Invalid").then_some(())
    });
    assert!(
        client.get("/", "").header("x-response-request-head").is_some(),
        "the last good one stays"
    );

    folder.plugin("p.wasm", "replier");
    within_a_second("the new plugin", || client.get("/", "").status() != 200);
    eventually("no complaint any more", || {
        (!weir.status().contains("not live")).then_some(())
    });
    traffic.go_on();
    traffic.end();
}

#[test]
fn a_broken_manifest_keeps_the_last_good_configuration_and_says_why() {
    let origin = Origin::echo("a");
    let port = free_port();
    let good = gateway(port) + &route("a", "/", origin.address);
    let folder = Folder::new(&good);
    let weir = Weir::start(&folder, port);
    let broken = [
        ("unknown field", good.replace("parentRefs", "parentRef")),
        ("not YAML", "{{{".to_owned()),
        ("no objects", String::new()),
    ];
    for (what, text) in broken {
        folder.write("gateway.yaml", &text);
        eventually(what, || {
            weir.status()
                .contains("The newest configuration is not live")
                .then_some(())
        });
        assert_eq!(weir.client().get("/", "").status(), 200, "{what}");
        folder.write("gateway.yaml", &good);
        eventually("recovery", || (!weir.status().contains("not live")).then_some(()));
    }
    assert!(
        weir.stderr().contains("did you mean \"parentRefs\""),
        "{}",
        weir.stderr()
    );
}

#[test]
fn sigterm_lets_a_request_in_flight_finish() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let origin = Origin::start(move |_, stream| {
        use std::io::Write;
        gate.lock()
            .expect("no panic while locked")
            .recv()
            .expect("the test is still there");
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")?;
        Ok(true)
    });
    let port = free_port();
    let folder = Folder::new(&(gateway(port) + &route("a", "/", origin.address)));
    let mut weir = Weir::start(&folder, port);
    let mut client = weir.client();
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    eventually("the request to arrive", || origin.seen.requests().pop());
    weir.terminate();
    eventually("the drain", || weir.stderr().contains("draining").then_some(()));
    go.send(()).unwrap();
    assert_eq!(client.read(false).unwrap().text(), "done");
    assert_eq!(weir.ended(), Some(0));
}

#[test]
fn a_gateway_that_cannot_be_programmed_any_more_keeps_serving() {
    let origin = Origin::echo("a");
    let port = free_port();
    let good = gateway(port) + &route("a", "/", origin.address);
    let folder = Folder::new(&good);
    let weir = Weir::start(&folder, port);
    folder.write(
        "gateway.yaml",
        good.replace("metadata: {name: weir}", "metadata: {name: other}"),
    );
    eventually("the complaint", || {
        weir.status().contains("not live").then_some(())
    });
    assert_eq!(
        weir.client().get("/", "").status(),
        200,
        "the last good configuration stays"
    );
}

#[test]
fn a_gateway_may_be_renamed_on_its_port() {
    let origin = Origin::echo("a");
    let port = free_port();
    let manifests = |name: &str| {
        let text = gateway(port) + &route("a", "/", origin.address);
        text.replace("metadata: {name: test}", &format!("metadata: {{name: {name}}}"))
            .replace(
                "parentRefs: [{name: test}]",
                &format!("parentRefs: [{{name: {name}}}]"),
            )
    };
    let folder = Folder::new(&manifests("test"));
    let weir = Weir::start(&folder, port);
    folder.write("gateway.yaml", manifests("renamed"));
    eventually("the new name", || {
        weir.status()
            .contains("Gateway default/renamed serves")
            .then_some(())
    });
    assert_eq!(weir.client().get("/", "").status(), 200);
}

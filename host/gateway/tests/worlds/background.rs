//! Guests that work on their own time, on a thread of their own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use weir_filter::FailureReason;
use weir_gateway::BackgroundHealth;
use weir_harness::{Origin, eventually};

use crate::site::{Site, Wanted, stored};

/// A backend that serves the key of the moment; none while it is empty.
fn keys(key: &Arc<Mutex<&'static str>>) -> Origin {
    let key = Arc::clone(key);
    Origin::answering(move |_| match *key.lock().unwrap() {
        "" => "HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n".to_owned(),
        key => format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{key}", key.len()),
    })
}

fn status(site: &Site, key: &str) -> u16 {
    let answer = site.client().get("/", &format!("x-key: {key}\r\n"));
    answer.line.split(' ').nth(1).unwrap().parse().unwrap()
}

fn ticks(site: &Site, plugin: &str, key: &str) -> Option<u32> {
    stored(&site.store, plugin, key)
}

#[test]
fn keys_are_there_before_the_first_request_and_are_refreshed() {
    let key = Arc::new(Mutex::new("k1"));
    let (origin, backend) = (Origin::echo("a"), keys(&key));
    let mut site = Site::new();
    let wanted = Wanted {
        guest: "keys",
        config: "backend=keys every=10",
        backend: Some(backend.address),
    };
    site.serve(origin.address, &[wanted]);
    assert_eq!((status(&site, "k1"), status(&site, "k2")), (200, 401));
    assert_eq!(site.tasks[0].health(), BackgroundHealth::Well);
    *key.lock().unwrap() = "k2";
    eventually("the new key", || (status(&site, "k2") == 200).then_some(()));
    assert_eq!(status(&site, "k1"), 401);
}

#[test]
fn filters_go_live_without_what_background_work_could_not_get_and_get_it_later() {
    let key = Arc::new(Mutex::new(""));
    let (origin, backend) = (Origin::echo("a"), keys(&key));
    let mut site = Site::new();
    let wanted = Wanted {
        guest: "keys",
        config: "backend=keys every=10",
        backend: Some(backend.address),
    };
    site.serve(origin.address, &[wanted]);
    assert_eq!(status(&site, "k1"), 503);
    *key.lock().unwrap() = "k1";
    eventually("the key", || (status(&site, "k1") == 200).then_some(()));
}

#[test]
fn work_alone_is_no_step_of_a_chain_and_ends_with_its_task() {
    let origin = Origin::echo("a");
    let mut site = Site::new();
    let wanted = |config| Wanted {
        guest: "ticker",
        config,
        backend: None,
    };
    site.serve(
        origin.address,
        &[wanted("key=on every=1"), wanted("key=two every=1 stop=2")],
    );
    assert_eq!(status(&site, ""), 200);
    let count = |key| ticks(&site, "test/ticker", key).unwrap_or_default();
    eventually("some ticks", || (count("on") > 5).then_some(()));
    eventually("the last tick", || {
        (site.tasks[1].health() == BackgroundHealth::Over).then_some(())
    });
    assert_eq!(count("two"), 2);
    let task = site.tasks.remove(0);
    let health = task.health();
    assert_eq!(health, BackgroundHealth::Well);
    drop(task);
    // The thread has ended the work when it took the next: jobs are taken in order.
    site.serve(origin.address, &[wanted("key=next stop=1")]);
    let after = ticks(&site, "test/ticker", "on");
    site.serve(origin.address, &[wanted("key=next stop=3 every=20")]);
    eventually("the last of the others", || {
        (site.tasks[0].health() == BackgroundHealth::Over).then_some(())
    });
    assert_eq!(ticks(&site, "test/ticker", "on"), after);
}

#[test]
fn a_failure_is_told_and_mended_by_the_next_turn() {
    let origin = Origin::echo("a");
    let mut site = Site::new();
    let wanted = Wanted {
        guest: "ticker",
        config: "every=1 trap=1",
        backend: None,
    };
    site.serve(origin.address, &[wanted]);
    match site.tasks[0].health() {
        // The retry may have been faster than this look.
        BackgroundHealth::Well => {}
        BackgroundHealth::Failing { failures, reason, .. } => {
            assert_eq!((failures, reason), (1, FailureReason::Trap));
        }
        other => panic!("{other}"),
    }
    assert_eq!(status(&site, ""), 200, "requests go on");
    eventually("a turn that ends well", || {
        (site.tasks[0].health() == BackgroundHealth::Well).then_some(())
    });
}

#[test]
fn a_backend_that_is_silent_delays_neither_requests_nor_other_work() {
    let origin = Origin::echo("a");
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    // Answers once, and then never again.
    let silent = Origin::start(move |_, stream| {
        use std::io::{Read as _, Write as _};
        if counted.fetch_add(1, Ordering::SeqCst) > 0 {
            stream.read_to_end(&mut Vec::new())?;
            return Ok(false);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nk1")?;
        Ok(true)
    });
    let mut site = Site::new();
    let wanted = [
        Wanted {
            guest: "keys",
            config: "backend=keys every=1",
            backend: Some(silent.address),
        },
        Wanted {
            guest: "ticker",
            config: "every=1",
            backend: None,
        },
    ];
    site.serve(origin.address, &wanted);
    eventually("the callout that waits", || {
        (asked.load(Ordering::SeqCst) > 1).then_some(())
    });
    let before = ticks(&site, "test/ticker", "ticks").unwrap_or_default();
    assert_eq!(status(&site, "k1"), 200);
    eventually("more ticks", || {
        (ticks(&site, "test/ticker", "ticks").unwrap_or_default() > before + 5).then_some(())
    });
}

//! Phases that wait, and what goes on around them meanwhile.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::Semaphore;
use weir_filter::{Action, BodyPlan, Chunk, FailureReason, FilterError, Phase, Phases, Reply};
use weir_harness::{Origin, eventually};
use weir_model::FailureMode;
use weir_proxy::FleetConfig;

use crate::support::{Native, Proxy, Setup};
use crate::waiting::{Lent, Outcome, Waits, get};

type Journal = Arc<Mutex<Vec<String>>>;

/// Opens for as many as the test lets through.
type Gate = Arc<Semaphore>;

/// Takes the request's body in chunks; each waits at the gate and ends as `decide` says.
fn holding_chunks(gate: &Gate, journal: &Journal, decide: fn(&Lent, &Chunk) -> Outcome) -> Waits {
    let (gate, journal) = (Arc::clone(gate), Arc::clone(journal));
    Waits::new(Phases::REQUEST_HEAD | Phases::REQUEST_BODY, move |phase, lent| {
        let (gate, journal) = (Arc::clone(&gate), Arc::clone(&journal));
        async move {
            let Phase::RequestBody(chunk) = phase else {
                return Ok(Action::Body(BodyPlan::Chunks));
            };
            let text = String::from_utf8_lossy(&chunk.bytes).into_owned();
            journal.lock().unwrap().push(text);
            gate.acquire().await.unwrap().forget();
            decide(&lent, &chunk)
        }
    })
}

fn shout(lent: &Lent, chunk: &Chunk) -> Outcome {
    lent.with(|it| it.stage_body(chunk.bytes.to_ascii_uppercase().into()));
    Ok(Action::Next)
}

fn refuse(lent: &Lent, _: &Chunk) -> Outcome {
    lent.with(|it| it.stage_reply(Reply::new(StatusCode::FORBIDDEN)));
    Ok(Action::Reply)
}

/// Waits in this phase until the gate lets it through.
fn waiting(phase: Phases, gate: &Gate) -> Waits {
    let gate = Arc::clone(gate);
    Waits::new(phase, move |_, lent| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            lent.with(|it| {
                it.response.headers.insert("x-waited", "1".parse().unwrap());
            });
            Ok(Action::Next)
        }
    })
}

/// Notes path, status and reason of each exchange.
fn logging(journal: &Journal) -> Native {
    let journal = Arc::clone(journal);
    Native {
        log: Some(Box::new(move |it| {
            let status = it.response.status.map_or(0, |it| it.as_u16());
            let reason = it.facts.reason.map_or("none", |it| it.as_str());
            let line = format!("{} {status} {reason}", it.request.path_and_query());
            journal.lock().unwrap().push(line);
        })),
        ..Native::default()
    }
}

fn open_for(count: usize) -> Gate {
    Arc::new(Semaphore::new(count))
}

/// Reads a request head and answers at once with `head`; then reads until `text`, sends `rest` and closes.
fn early(head: &'static str, text: &'static str, rest: &'static str) -> Origin {
    Origin::raw(move |stream| {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        stream.write_all(head.as_bytes())?;
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(text) {
            let mut byte = [0];
            reader.read_exact(&mut byte)?;
            seen.extend_from_slice(&byte);
        }
        stream.write_all(rest.as_bytes())
    })
}

const CHUNKED: &str = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";

#[test]
fn a_response_that_comes_early_waits_for_the_chunk_that_a_filter_holds() {
    let (gate, journal) = (open_for(0), Journal::default());
    let origin = early(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "HELLO",
        "2\r\nok\r\n0\r\n\r\n",
    );
    let proxy = Proxy::start(Setup::to(origin.address).filter(holding_chunks(&gate, &journal, shout)));
    let mut client = proxy.client();
    client.write(CHUNKED.as_bytes()).unwrap();
    eventually("the chunk", || journal.lock().unwrap().pop());
    gate.add_permits(2);
    client.write(b"0\r\n\r\n").unwrap();
    assert_eq!(client.read(false).unwrap().text(), "ok");
}

#[test]
fn a_filter_that_holds_a_chunk_still_decides_when_the_response_comes_early() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ] {
        let (gate, journal) = (open_for(0), Journal::default());
        let origin = early(head, "never", "");
        let proxy = Proxy::start(Setup::to(origin.address).filter(holding_chunks(&gate, &journal, refuse)));
        let mut client = proxy.client();
        client.write(CHUNKED.as_bytes()).unwrap();
        eventually("the chunk", || journal.lock().unwrap().pop());
        gate.add_permits(1);
        assert_eq!(client.read(false).unwrap().status(), 403, "{head:?}");
    }
}

#[test]
fn response_head_filters_wait() {
    let gate = open_for(0);
    let origin = Origin::echo("a");
    let proxy = Proxy::start(Setup::to(origin.address).filter(waiting(Phases::RESPONSE_HEAD, &gate)));
    let mut client = proxy.client();
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    eventually("the origin's answer", || origin.seen.requests().pop());
    gate.add_permits(1);
    let answer = client.read(false).unwrap();
    assert_eq!((answer.status(), answer.header("x-waited")), (200, Some("1")));
}

#[test]
fn a_log_phase_that_waits_holds_up_nobody_and_is_not_lost_by_a_drain() {
    let journal = Journal::default();
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let sink = Origin::start(move |_, stream| {
        gate.lock().unwrap().recv().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(true)
    });
    let logs = Waits::new(Phases::LOG, {
        let journal = Arc::clone(&journal);
        move |_, lent| {
            let sent = lent.callouts().fetch("sink", get("/log"));
            let journal = Arc::clone(&journal);
            async move {
                let status = sent.await.unwrap().status;
                let path = lent.with(|it| it.request.path_and_query().to_owned());
                journal.lock().unwrap().push(format!("{path} {status}"));
                Ok(Action::Next)
            }
        }
    });
    let origin = Origin::echo("a");
    let setup = Setup::to(origin.address)
        .cluster("sink", &[sink.address])
        .filter(logs);
    let proxy = Proxy::start(setup);
    let mut client = proxy.client();
    assert_eq!(client.get("/one", "").status(), 200);
    assert_eq!(
        client.get("/two", "").status(),
        200,
        "the first is still to be logged"
    );
    eventually("both callouts", || {
        (sink.seen.requests().len() == 2).then_some(())
    });
    let draining = std::thread::spawn(move || proxy.drain(Duration::from_secs(10)));
    assert!(client.read(false).is_err(), "the connection is gone");
    assert!(journal.lock().unwrap().is_empty());
    for _ in 0..2 {
        go.send(()).unwrap();
    }
    draining.join().unwrap();
    let mut lines = journal.lock().unwrap().clone();
    lines.sort();
    assert_eq!(lines, ["/one 200 OK", "/two 200 OK"]);
}

#[test]
fn a_drain_does_not_wait_for_a_log_phase_longer_than_its_grace() {
    let gate = open_for(0);
    let origin = Origin::echo("a");
    let proxy = Proxy::start(Setup::to(origin.address).filter(waiting(Phases::LOG, &gate)));
    assert_eq!(proxy.client().get("/", "").status(), 200);
    proxy.drain(Duration::from_millis(100));
    assert_eq!(gate.available_permits(), 0);
}

#[test]
fn a_client_that_leaves_while_a_chunk_is_held_is_logged_with_its_exchange() {
    let (gate, chunks, lines) = (open_for(0), Journal::default(), Journal::default());
    let origin = Origin::echo("a");
    let setup = Setup::to(origin.address)
        .filter(logging(&lines))
        .filter(holding_chunks(&gate, &chunks, shout));
    let proxy = Proxy::start(setup);
    let mut client = proxy.client();
    let request = "POST /left HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
    client.write(request.as_bytes()).unwrap();
    eventually("the chunk", || chunks.lock().unwrap().pop());
    drop(client);
    assert_eq!(
        eventually("the log", || lines.lock().unwrap().pop()),
        "/left 0 none"
    );
}

#[test]
fn an_endpoint_that_breaks_off_ends_the_call_that_holds_a_chunk() {
    let (gate, chunks, lines) = (open_for(0), Journal::default(), Journal::default());
    let origin = Origin::raw(|stream| {
        // The head only; an unread byte left behind makes the close a reset.
        stream.read_exact(&mut [0; 8])
    });
    let reading = Native {
        response_head: Some(Box::new(|_| Ok(Action::Body(BodyPlan::Chunks)))),
        response_body: Some(Box::new(|_, _, _| Ok(Action::Next))),
        ..logging(&lines)
    };
    let setup = Setup::to(origin.address)
        .filter(reading)
        .filter(holding_chunks(&gate, &chunks, shout));
    let proxy = Proxy::start(setup);
    let mut client = proxy.client();
    client.write(CHUNKED.as_bytes()).unwrap();
    eventually("the chunk", || chunks.lock().unwrap().first().cloned());
    assert_eq!(client.read(false).unwrap().status(), 502);
    assert_eq!(*chunks.lock().unwrap(), ["hello"], "it is not given again");
    drop(client);
    assert_eq!(
        eventually("the log", || lines.lock().unwrap().pop()),
        "/ 502 upstream_reset"
    );
}

fn failing() -> FilterError {
    FilterError {
        filter: "waits".to_owned(),
        reason: FailureReason::Timeout,
        message: "for the test".to_owned(),
    }
}

#[test]
fn a_call_that_fails_after_it_waited_follows_its_failure_mode() {
    for (mode, status) in [(FailureMode::Closed, 504), (FailureMode::Open, 200)] {
        let origin = Origin::echo("a");
        let late = Waits::new(Phases::REQUEST_HEAD, |_, _| async {
            tokio::task::yield_now().await;
            Err(failing())
        });
        let proxy = Proxy::start(Setup::to(origin.address).filter_with(late, mode));
        assert_eq!(proxy.client().get("/", "").status(), status, "{mode}");
    }
}

#[test]
fn each_chunk_is_given_once_while_both_directions_wait() {
    let (gate, journal) = (open_for(0), Journal::default());
    let (go, went) = mpsc::channel::<()>();
    let went = Mutex::new(went);
    let origin = Origin::raw(move |stream| {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n")?;
        went.lock().unwrap().recv().unwrap();
        stream.write_all(b"1\r\nb\r\n")?;
        let mut chunk = [0; 10];
        reader.read_exact(&mut chunk)?;
        let chunk = String::from_utf8_lossy(&chunk);
        let text = chunk.lines().nth(1).unwrap_or_default();
        write!(stream, "{:x}\r\n{text}\r\n0\r\n\r\n", text.len())
    });
    let slow = Waits::new(
        Phases::RESPONSE_HEAD | Phases::RESPONSE_BODY,
        |phase, lent| async move {
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            Ok(match phase {
                Phase::ResponseBody(chunk) => {
                    lent.with(|it| {
                        it.stage_body(format!("[{}]", String::from_utf8_lossy(&chunk.bytes)).into())
                    });
                    Action::Next
                }
                _ => Action::Body(BodyPlan::Chunks),
            })
        },
    );
    let setup = Setup::to(origin.address)
        .filter(holding_chunks(&gate, &journal, shout))
        .filter(slow);
    let proxy = Proxy::start(setup);
    let mut client = proxy.client();
    client
        .write(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        .unwrap();
    client.read_until("[a]");
    client.write(b"5\r\nhello\r\n").unwrap();
    eventually("the chunk", || journal.lock().unwrap().first().cloned());
    go.send(()).unwrap();
    // The response's chunk is there by then, and waits for the exchange too.
    std::thread::park_timeout(Duration::from_millis(50));
    gate.add_permits(10);
    let rest = client.read_until("[HELLO]");
    assert!(rest.contains("[b]"), "{rest}");
    assert_eq!(*journal.lock().unwrap(), ["hello"]);
}

#[test]
fn an_exchange_that_a_drain_cuts_is_logged_as_far_as_that_does_not_wait() {
    let (lines, begun) = (Journal::default(), Journal::default());
    let origin = Origin::raw(|stream| stream.read_to_end(&mut Vec::new()).map(drop));
    let waits = Waits::new(Phases::LOG, {
        let begun = Arc::clone(&begun);
        move |_, _| {
            begun.lock().unwrap().push("begun".to_owned());
            std::future::pending()
        }
    });
    let setup = Setup::to(origin.address).filter(logging(&lines)).filter(waits);
    let proxy = Proxy::start(setup);
    let mut client = proxy.client();
    client.write(b"GET /cut HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    eventually("the connection", || {
        (origin.seen.connections() == 1).then_some(())
    });
    proxy.drain(Duration::from_millis(100));
    assert_eq!(*lines.lock().unwrap(), ["/cut 0 none"]);
    assert_eq!(*begun.lock().unwrap(), ["begun"]);
}

#[test]
fn the_time_that_a_filter_holds_a_chunk_is_not_the_endpoints() {
    let (gate, journal) = (open_for(0), Journal::default());
    let origin = Origin::start(|_, stream| {
        std::thread::park_timeout(Duration::from_millis(2200));
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(true)
    });
    let config = FleetConfig {
        workers: 1,
        response_timeout: Duration::from_secs(3),
        ..FleetConfig::default()
    };
    let setup = Setup::to(origin.address).filter(holding_chunks(&gate, &journal, shout));
    let proxy = Proxy::with(&config, setup);
    let mut client = proxy.client();
    client
        .write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello")
        .unwrap();
    eventually("the chunk", || journal.lock().unwrap().pop());
    std::thread::park_timeout(Duration::from_secs(2));
    gate.add_permits(2);
    assert_eq!(client.read(false).unwrap().status(), 200);
}

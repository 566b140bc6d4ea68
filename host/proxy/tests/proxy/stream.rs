//! Streams of filters to backends, over HTTP/2.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Method, Response};
use tokio::sync::{Notify, Semaphore};
use weir_filter::{CalloutRequest, CalloutStream, Phases, StreamEvent};
use weir_harness::{Http2Origin, eventually, send_all};

use crate::support::{Proxy, Setup};
use crate::waiting::{Lent, Outcome, Waits, get};

const SOON: Duration = Duration::from_secs(10);

/// Opens a stream to the cluster `asked` in the request-head phase.
fn streaming<F>(
    request: impl Fn() -> CalloutRequest + Send + Sync + 'static,
    act: impl Fn(CalloutStream, Lent) -> F + Send + Sync + 'static,
) -> Waits
where
    F: Future<Output = Outcome> + 'static,
{
    Waits::new(Phases::REQUEST_HEAD, move |_, lent| {
        act(lent.callouts().stream("asked", request()), lent)
    })
}

fn proxy(at: SocketAddr, filter: Waits) -> Proxy {
    Proxy::start(Setup::to(at).cluster("asked", &[at]).filter(filter))
}

/// Sends these pieces, ends the request and describes all events.
fn asked(at: SocketAddr, request: fn() -> CalloutRequest, pieces: &'static [&'static str]) -> String {
    let filter = streaming(request, move |stream, lent| async move {
        let CalloutStream { sender, mut events } = stream;
        for piece in pieces {
            let _ = sender
                .as_ref()
                .unwrap()
                .send(Bytes::from_static(piece.as_bytes()))
                .await;
        }
        drop(sender);
        let mut seen = Vec::new();
        while let Some(event) = events.recv().await {
            seen.push(describe(&event));
        }
        lent.reply(seen.join(", "))
    });
    proxy(at, filter).client().get("/", "").text()
}

fn describe(event: &StreamEvent) -> String {
    match event {
        StreamEvent::Head(status, _) => format!("head {}", status.as_u16()),
        StreamEvent::Data(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        StreamEvent::Trailers(fields) => format!("x-sum {}", fields["x-sum"].to_str().unwrap()),
        StreamEvent::Failed(error) => error.as_str().to_owned(),
    }
}

#[test]
fn one_message_there_and_all_events_back() {
    let origin = Http2Origin::echo();
    assert_eq!(
        asked(origin.address, || get("/"), &["hello"]),
        "head 200, hello, x-sum 5"
    );
    let first = || CalloutRequest {
        body: Bytes::from_static(b"first"),
        ..get("/")
    };
    assert_eq!(asked(origin.address, first, &[]), "head 200, first, x-sum 5");
    assert_eq!(asked(origin.address, || get("/"), &[]), "head 200, x-sum 0");
}

#[test]
fn the_endpoint_sees_what_a_grpc_server_wants() {
    let (seen, sees) = mpsc::channel();
    let seen = Mutex::new(seen);
    let origin = Http2Origin::start(move |request, mut response| {
        let (head, _) = request.into_parts();
        let line = format!("{} {} {:?}", head.method, head.uri, head.headers);
        seen.lock().unwrap().send(line).unwrap();
        async move { response.send_response(Response::new(()), true).map(drop) }
    });
    let request = || {
        let mut request = CalloutRequest {
            method: Method::POST,
            authority: "auth.example".to_owned(),
            ..get("/svc/Check")
        };
        for (name, value) in [
            ("host", "evil"),
            ("connection", "x-named"),
            ("x-named", "1"),
            ("x-kept", "2"),
        ] {
            request.headers.insert(name, value.parse().unwrap());
        }
        request
    };
    assert_eq!(asked(origin.address, request, &[]), "head 200");
    assert_eq!(
        sees.recv_timeout(SOON).unwrap(),
        "POST http://auth.example/svc/Check {\"x-kept\": \"2\", \"te\": \"trailers\"}"
    );
}

#[test]
fn messages_go_there_and_back_in_turn() {
    let origin = Http2Origin::echo();
    let filter = streaming(
        || get("/"),
        |stream, lent| async move {
            let CalloutStream { sender, mut events } = stream;
            let sender = sender.unwrap();
            let mut said = vec![describe(&events.recv().await.unwrap())];
            for word in ["one", "two", "three"] {
                sender.send(word.into()).await.unwrap();
                said.push(describe(&events.recv().await.unwrap()));
            }
            drop(sender);
            said.push(describe(&events.recv().await.unwrap()));
            assert!(events.recv().await.is_none());
            lent.reply(said.join(" "))
        },
    );
    let answer = proxy(origin.address, filter).client().get("/", "");
    assert_eq!(answer.text(), "head 200 one two three x-sum 11");
}

#[test]
fn what_goes_wrong_has_a_name() {
    let resets = Http2Origin::start(|_, mut response| async move {
        let mut send = response.send_response(Response::new(()), false)?;
        send.send_data(Bytes::from_static(b"part"), false)?;
        // The reset would overtake what is only queued.
        tokio::task::yield_now().await;
        send.send_reset(Reason::INTERNAL_ERROR);
        Ok(())
    });
    let refuses = Http2Origin::start(|_, mut response| async move {
        response.send_reset(Reason::REFUSED_STREAM);
        Ok(())
    });
    let other = weir_harness::Origin::answering(|_| "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap();
    assert!(asked(resets.address, || get("/"), &["x"]).ends_with("reset"));
    assert_eq!(asked(refuses.address, || get("/"), &["x"]), "reset");
    assert_eq!(asked(other.address, || get("/"), &["x"]), "reset");
    assert_eq!(asked(nobody, || get("/"), &["x"]), "connect");
    assert_eq!(asked(other.address, || get("no path"), &["x"]), "invalid");
    let unknown = Setup::to(other.address).filter(streaming(
        || get("/"),
        |mut stream, lent| async move { lent.reply(describe(&stream.events.recv().await.unwrap())) },
    ));
    assert_eq!(Proxy::start(unknown).client().get("/", "").text(), "connect");
}

/// How the request ended for an origin that answers at once or never; it notifies `arrived` of the first piece.
fn ending(answers: bool, arrived: &Arc<Notify>) -> (Http2Origin, mpsc::Receiver<String>) {
    let arrived = Arc::clone(arrived);
    let (ended, ends) = mpsc::channel();
    let ended = Arc::new(Mutex::new(ended));
    let origin = Http2Origin::start(move |request, mut response| {
        let (ended, arrived) = (Arc::clone(&ended), Arc::clone(&arrived));
        async move {
            let _send = answers
                .then(|| response.send_response(Response::new(()), false))
                .transpose()?;
            let mut body = request.into_body();
            while let Some(piece) = body.data().await {
                let Err(error) = piece else {
                    arrived.notify_one();
                    continue;
                };
                let _ = ended.lock().unwrap().send(format!("{:?}", error.reason()));
                return Ok(());
            }
            let _ = ended.lock().unwrap().send("complete".to_owned());
            Ok(())
        }
    });
    (origin, ends)
}

#[test]
fn a_dropped_stream_is_reset_and_never_looks_complete() {
    for answers in [true, false] {
        let arrived = Arc::new(Notify::new());
        let (origin, ends) = ending(answers, &arrived);
        let filter = streaming(
            || get("/"),
            move |mut stream, lent| {
                let arrived = Arc::clone(&arrived);
                async move {
                    stream.sender.as_ref().unwrap().send("part".into()).await.unwrap();
                    arrived.notified().await;
                    if answers {
                        stream.events.recv().await.unwrap();
                    }
                    drop(stream);
                    lent.reply("gone")
                }
            },
        );
        let answer = proxy(origin.address, filter).client().get("/", "");
        assert_eq!(answer.text(), "gone");
        assert_eq!(
            ends.recv_timeout(SOON).unwrap(),
            "Some(CANCEL)",
            "answered: {answers}"
        );
    }
}

#[test]
fn a_stream_that_is_dropped_after_its_request_ended_is_reset_too() {
    for answers in [true, false] {
        let (ended, ends) = mpsc::channel();
        let ended = Arc::new(Mutex::new(ended));
        let arrived = Arc::new(Notify::new());
        let origin = Http2Origin::start({
            let arrived = Arc::clone(&arrived);
            move |request, mut response| {
                let (ended, arrived) = (Arc::clone(&ended), Arc::clone(&arrived));
                async move {
                    let mut body = request.into_body();
                    while let Some(piece) = body.data().await {
                        piece?;
                    }
                    arrived.notify_one();
                    let reason = if answers {
                        let mut send = response.send_response(Response::new(()), false)?;
                        std::future::poll_fn(|cx| send.poll_reset(cx)).await?
                    } else {
                        std::future::poll_fn(|cx| response.poll_reset(cx)).await?
                    };
                    ended.lock().unwrap().send(reason).unwrap();
                    Ok(())
                }
            }
        });
        let filter = streaming(
            || get("/"),
            move |stream, lent| {
                let arrived = Arc::clone(&arrived);
                async move {
                    let CalloutStream { sender, mut events } = stream;
                    drop(sender);
                    arrived.notified().await;
                    if answers {
                        events.recv().await.unwrap();
                    }
                    drop(events);
                    lent.reply("gone")
                }
            },
        );
        let proxy = proxy(origin.address, filter);
        assert_eq!(proxy.client().get("/", "").text(), "gone");
        assert_eq!(
            ends.recv_timeout(SOON).unwrap(),
            Reason::CANCEL,
            "answered: {answers}"
        );
    }
}

#[test]
fn a_client_that_leaves_resets_the_stream() {
    let open = Arc::new(Notify::new());
    let (origin, ends) = ending(true, &Arc::new(Notify::new()));
    let filter = streaming(|| get("/"), {
        let open = Arc::clone(&open);
        move |stream, lent| {
            let open = Arc::clone(&open);
            async move {
                // All of it: the sender is open.
                let mut stream = stream;
                stream.events.recv().await.unwrap();
                open.notify_one();
                stream.events.recv().await.unwrap();
                lent.reply("never")
            }
        }
    });
    let proxy = proxy(origin.address, filter);
    let mut client = proxy.client();
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    block_on(open.notified());
    drop(client);
    assert_eq!(ends.recv_timeout(SOON).unwrap(), "Some(CANCEL)");
}

#[test]
fn sending_waits_for_an_endpoint_that_does_not_read() {
    let gate = Arc::new(Semaphore::new(0));
    let origin = Http2Origin::start({
        let gate = Arc::clone(&gate);
        move |request, mut response| {
            let gate = Arc::clone(&gate);
            async move {
                drop(gate.acquire().await);
                let mut body = request.into_body();
                while let Some(piece) = body.data().await {
                    body.flow_control().release_capacity(piece?.len())?;
                }
                response.send_response(Response::new(()), true).map(drop)
            }
        }
    });
    let filter = streaming(|| get("/"), {
        let gate = Arc::clone(&gate);
        move |stream, lent| {
            let gate = Arc::clone(&gate);
            async move {
                let CalloutStream { sender, mut events } = stream;
                let sender = sender.unwrap();
                let piece = Bytes::from(vec![b'x'; 16 << 10]);
                let mut sent = 0;
                while let Ok(taken) =
                    tokio::time::timeout(Duration::from_millis(300), sender.send(piece.clone())).await
                {
                    taken.unwrap();
                    sent += piece.len();
                    assert!(sent < 1 << 20, "nothing holds the sender back");
                }
                gate.add_permits(1);
                for _ in 0..64 {
                    sender.send(piece.clone()).await.unwrap();
                }
                drop(sender);
                lent.reply(describe(&events.recv().await.unwrap()))
            }
        }
    });
    let answer = proxy(origin.address, filter).client().get("/", "");
    assert_eq!(answer.text(), "head 200");
}

#[test]
fn an_endpoint_is_read_as_events_are_taken_and_does_not_hold_up_its_neighbours() {
    const ALL: usize = 4 << 20;
    let sent = Arc::<AtomicUsize>::default();
    let origin = Http2Origin::start({
        let sent = Arc::clone(&sent);
        move |request, mut response| {
            let sent = Arc::clone(&sent);
            async move {
                let mut send = response.send_response(Response::new(()), false)?;
                if request.uri().path() == "/flood" {
                    for _ in 0..ALL >> 14 {
                        send_all(&mut send, Bytes::from(vec![b'x'; 16 << 10])).await?;
                        sent.fetch_add(16 << 10, Ordering::SeqCst);
                    }
                }
                send_all(&mut send, Bytes::from_static(b"end")).await?;
                send.send_trailers(HeaderMap::from_iter([(
                    http::HeaderName::from_static("x-sum"),
                    1.into(),
                )]))
            }
        }
    });
    let gate = Arc::new(Semaphore::new(0));
    let flood = streaming(|| get("/flood"), {
        let gate = Arc::clone(&gate);
        move |mut stream, lent| {
            let gate = Arc::clone(&gate);
            async move {
                drop(gate.acquire().await);
                let mut sum = 0;
                while let Some(event) = stream.events.recv().await {
                    if let StreamEvent::Data(bytes) = event {
                        assert!(bytes.len() <= 64 << 10);
                        sum += bytes.len();
                    }
                }
                lent.reply(sum.to_string())
            }
        }
    });
    let other = streaming(
        || get("/other"),
        |mut stream, lent| async move {
            stream.events.recv().await.unwrap();
            lent.reply(describe(&stream.events.recv().await.unwrap()))
        },
    );
    let setup = Setup::to(origin.address)
        .cluster("asked", &[origin.address])
        .filter(other)
        .route("/flood", &[(Some(&[origin.address]), 1)])
        .filter(flood);
    let proxy = Proxy::start(setup);
    let mut floods: Vec<_> = (0..50).map(|_| proxy.client()).collect();
    for client in &mut floods {
        client.write(b"GET /flood HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    }
    let mut before = usize::MAX;
    eventually("the origin to be held back", || {
        std::thread::park_timeout(Duration::from_millis(100));
        let now = sent.load(Ordering::SeqCst);
        (now > 0 && now == std::mem::replace(&mut before, now)).then_some(())
    });
    assert!(
        before < 50 * (512 << 10),
        "{before} bytes were read that nobody took"
    );
    assert_eq!(proxy.client().get("/", "").text(), "end");
    assert_eq!(origin.connections(), 1);
    gate.add_permits(50);
    for client in &mut floods {
        assert_eq!(client.read(false).unwrap().text(), (ALL + 3).to_string());
    }
}

#[test]
fn streams_share_connections_as_far_as_the_endpoint_takes_them() {
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::<AtomicUsize>::default();
    let origin = Http2Origin::start({
        let (gate, waiting) = (Arc::clone(&gate), Arc::clone(&waiting));
        move |_, mut response| {
            let (gate, waiting) = (Arc::clone(&gate), Arc::clone(&waiting));
            async move {
                waiting.fetch_add(1, Ordering::SeqCst);
                drop(gate.acquire().await);
                response.send_response(Response::new(()), true).map(drop)
            }
        }
    });
    let filter = streaming(
        || get("/"),
        |mut stream, lent| async move { lent.reply(describe(&stream.events.recv().await.unwrap())) },
    );
    let proxy = proxy(origin.address, filter);
    let mut clients: Vec<_> = (0..250).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    }
    eventually("all streams", || {
        (waiting.load(Ordering::SeqCst) == 250).then_some(())
    });
    assert_eq!(origin.connections(), 3);
    gate.add_permits(250);
    for client in &mut clients {
        assert_eq!(client.read(false).unwrap().text(), "head 200");
    }
    assert_eq!(proxy.client().get("/", "").text(), "head 200");
    assert_eq!(origin.connections(), 3, "they are kept");
}

#[test]
fn a_connection_that_goes_away_is_replaced_and_its_streams_end_in_order() {
    let origin = Http2Origin::echo();
    let (told, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = streaming(|| get("/"), {
        let (told, gate) = (Arc::clone(&told), Arc::clone(&gate));
        move |stream, lent| {
            let (told, gate) = (Arc::clone(&told), Arc::clone(&gate));
            async move {
                let CalloutStream { sender, mut events } = stream;
                events.recv().await.unwrap();
                told.notify_one();
                gate.notified().await;
                sender.unwrap().send("late".into()).await.unwrap();
                lent.reply(describe(&events.recv().await.unwrap()))
            }
        }
    });
    let quick = streaming(
        || get("/"),
        |mut stream, lent| async move { lent.reply(describe(&stream.events.recv().await.unwrap())) },
    );
    let setup = Setup::to(origin.address)
        .cluster("asked", &[origin.address])
        .filter(quick)
        .route("/slow", &[(Some(&[origin.address]), 1)])
        .filter(slow);
    let proxy = Proxy::start(setup);
    let mut slow = proxy.client();
    slow.write(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    block_on(told.notified());
    assert_eq!(proxy.client().get("/", "").text(), "head 200");
    assert_eq!(origin.connections(), 1);
    origin.go_away();
    eventually("a new connection", || {
        assert_eq!(proxy.client().get("/", "").text(), "head 200");
        (origin.connections() == 2).then_some(())
    });
    gate.notify_one();
    assert_eq!(slow.read(false).unwrap().text(), "late");
}

#[test]
fn a_drain_lets_a_stream_end() {
    let origin = Http2Origin::echo();
    let (told, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let filter = streaming(|| get("/"), {
        let (told, gate) = (Arc::clone(&told), Arc::clone(&gate));
        move |stream, lent| {
            let (told, gate) = (Arc::clone(&told), Arc::clone(&gate));
            async move {
                let CalloutStream { sender, mut events } = stream;
                events.recv().await.unwrap();
                told.notify_one();
                gate.notified().await;
                sender.unwrap().send("late".into()).await.unwrap();
                lent.reply(describe(&events.recv().await.unwrap()))
            }
        }
    });
    let proxy = proxy(origin.address, filter);
    let mut client = proxy.client();
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    block_on(told.notified());
    let draining = std::thread::spawn(move || proxy.drain(SOON));
    gate.notify_one();
    assert_eq!(client.read(false).unwrap().text(), "late");
    draining.join().unwrap();
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(async { tokio::time::timeout(SOON, future).await })
        .expect("it happens soon")
}

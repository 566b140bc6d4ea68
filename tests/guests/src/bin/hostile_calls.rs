//! Attacks the host through what must be granted: the request header `x-attack` says how, `x-attack-result` what the
//! host answered. The configuration `backend=NAME` names a granted backend.
//!
//! `ATTACK [N]`: see the functions below for the words; N is a size or count. An unknown attack is a reply of 400.
//! It imports `upstream`, `grpc`, `kv`, `metrics`, `log`, `random`, `sink`.

use weir_sdk::grpc::Stream;
use weir_sdk::upstream::{Answer, Call, fetch};
use weir_sdk::{Exchange, Phases, Reply, grpc, kv, log, metrics, random, sink};
use weir_test_guests::{At, Options, Probe, Step, show};

struct Hostile {
    backend: String,
}

impl Probe for Hostile {
    const WORDS: &'static [&'static str] = &["at=", "whole", "backend="];

    fn configure(options: Options) -> Result<Self, String> {
        Ok(Self {
            backend: options.get("backend").unwrap_or_default().to_owned(),
        })
    }

    fn run(&self, exchange: &mut Exchange, phase: Phases) -> Step {
        let Some(text) = exchange.request.header_text("x-attack") else {
            return Step::Next;
        };
        let (name, number) = text.split_once(' ').unwrap_or((&text, "0"));
        let number = number.trim().parse().unwrap_or(0);
        let result = call_attack(name, number, &self.backend)
            .or_else(|| stream_attack(name, number, &self.backend))
            .or_else(|| store_attack(name, number));
        match result {
            Some(result) => show(exchange, phase, "x-attack-result", result),
            None => {
                let text = format!("no attack: {name}");
                return Step::Reply(exchange.reply(Reply::new(400).text(text)));
            }
        }
        Step::Next
    }
}

fn call_attack(name: &str, number: usize, backend: &str) -> Option<String> {
    let plain = || Call::get("/");
    let result = match name {
        "unknown-backend" => fetch("no-such-backend", plain()),
        "odd-backend" => fetch("a/b\r\n\0\u{e9}", plain()),
        "method" => fetch(backend, Call::new("GET /x HTTP/1.1\r\n", "/")),
        "connect" => fetch(backend, Call::new("CONNECT", "a.example:1")),
        "path" => fetch(backend, Call::get("/a b\r\nx-injected: yes")),
        "no-path" => fetch(backend, Call::get("")),
        "authority" => fetch(backend, plain().authority("a\r\nx-injected: yes")),
        "field-value" => fetch(backend, plain().header("x-bad", "a\r\nx-injected: yes")),
        "field-name" => fetch(backend, plain().header("x bad:", "a")),
        "framing" => {
            let call = plain().body("four").header("content-length", "1");
            fetch(backend, call.header("transfer-encoding", "chunked"))
        }
        "fields" => {
            let call = (0..number).fold(plain(), |call, n| call.header(&format!("x-{n}"), "a"));
            fetch(backend, call)
        }
        "body" => fetch(backend, Call::post("/", vec![b'x'; number])),
        "calls" => {
            for _ in 1..number {
                let _ = fetch(backend, plain());
            }
            fetch(backend, plain())
        }
        _ => return None,
    };
    Some(result.map_or_else(
        |error| error.name().to_owned(),
        |Answer { status, .. }| status.to_string(),
    ))
}

fn stream_attack(name: &str, number: usize, backend: &str) -> Option<String> {
    let call = || grpc::Call::new("test.Echo", "Echo");
    let unary = |call: grpc::Call| answer(grpc::unary(backend, call, "").map(|answer| answer.status.code));
    Some(match name {
        "grpc-unknown" => answer(grpc::unary("no-such-backend", call(), "").map(|_| "")),
        "grpc-service" => unary(grpc::Call::new("a/b\r\nx: y", "c d")),
        "grpc-empty" => unary(grpc::Call::new("", "")),
        "grpc-metadata" => unary(call().metadata("grpc-timeout", "1n").metadata(":path", "/x\r\n")),
        "stream-unopened" => [0, 7, u32::MAX].map(unopened).join(" "),
        "stream-flood" => {
            let opened = (0..number).map(|_| Stream::open(backend, call()));
            answer(opened.collect::<Result<Vec<_>, _>>().map(|streams| streams.len()))
        }
        "stream-messages" => answer(Stream::open(backend, call()).and_then(|stream| {
            let message = vec![0; 64 * 1024];
            (0..number).try_for_each(|_| stream.send(&message))?;
            Ok("sent")
        })),
        "stream-cancelled" => answer(Stream::open(backend, call()).and_then(|stream| {
            stream.cancel();
            stream.finish();
            stream.receive().map(|_| "received")
        })),
        _ => return None,
    })
}

fn unopened(id: u32) -> String {
    let stream = Stream::from_id(id);
    stream.finish();
    let sent = answer(stream.send("").map(|()| "sent"));
    let received = answer(stream.receive().map(|_| "received"));
    stream.cancel();
    format!("{sent},{received}")
}

fn store_attack(name: &str, number: usize) -> Option<String> {
    Some(match name {
        "sink-index" => written(sink::write(u32::MAX, b"x")),
        "sink-large" => written(sink::write(0, &vec![b'x'; number])),
        "sink-flood" => {
            let dropped = (0..number).filter(|_| sink::write(0, b"flood\n").is_err());
            dropped.count().to_string()
        }
        "kv-key" => stored(kv::set(&"k".repeat(number), "a", None)),
        "kv-value" => stored(kv::set("large", vec![0; number], None)),
        "kv-flood" => stored((0..number).try_for_each(|n| kv::set(&format!("flood-{n}"), [0; 1024], None))),
        "kv-keys" => kv::keys("", u32::MAX).len().to_string(),
        "kv-ttl" => stored(kv::set("ttl", "a", Some(std::time::Duration::MAX))),
        "metrics" => {
            metrics::add(&"m".repeat(number), &[], u64::MAX);
            metrics::add("m", &[("a\"\n}", "b\"\n} 7\n")], u64::MAX);
            metrics::set("g", &[("n", "1"), ("n", "2")], f64::NAN);
            metrics::observe("h", &[], f64::NEG_INFINITY);
            (0..number).for_each(|n| metrics::add("series", &[("n", &n.to_string())], 1));
            "done".to_owned()
        }
        "log" => {
            log::error("line\nbreak \u{1b}[31m\0");
            log::error(&"x".repeat(number));
            "done".to_owned()
        }
        "random" => {
            let len = u32::try_from(number).unwrap_or(u32::MAX);
            random::bytes(len).len().to_string()
        }
        _ => return None,
    })
}

fn answer(result: Result<impl ToString, grpc::Error>) -> String {
    result.map_or_else(|error| error.name().to_owned(), |value| value.to_string())
}

fn written(result: Result<(), sink::Error>) -> String {
    result.map_or_else(|error| error.name().to_owned(), |()| "ok".to_owned())
}

fn stored(result: Result<(), kv::Error>) -> String {
    result.map_or_else(|error| error.name().to_owned(), |()| "ok".to_owned())
}

weir_sdk::policy!(At<Hostile>);

//! Attacks the host through functions that need no grant: the request header `x-attack` says how, in the phase
//! that `at=` names. It then marks the message with `x-survived`, if it still can.
//!
//! `ATTACK [N]`: see `attack` for the words; N is a size or count, or a status. An unknown attack is a reply of
//! 400, so that no test runs without one.

use weir_sdk::{Exchange, Field, Phases, Reply};
use weir_test_guests::{At, Options, Probe, Step, show};

struct Hostile;

impl Probe for Hostile {
    const WORDS: &'static [&'static str] = &["at=", "whole"];

    fn configure(_: Options) -> Result<Self, String> {
        Ok(Self)
    }

    fn run(&self, exchange: &mut Exchange, phase: Phases) -> Step {
        let Some(text) = exchange.request.header_text("x-attack") else {
            return Step::Next;
        };
        let (name, number) = text.split_once(' ').unwrap_or((&text, "0"));
        let number = number.trim().parse().unwrap_or(0);
        let step = reply_attack(name, number, exchange);
        if let Some(step) = step {
            return step;
        }
        let known = field_attack(name, number, exchange) || state_attack(name, number, exchange);
        if !known && phase != Phases::LOG {
            let text = format!("no attack: {name}");
            return Step::Reply(exchange.reply(Reply::new(400).text(text)));
        }
        show(exchange, phase, "x-survived", name);
        Step::Next
    }
}

/// Those that end with a reply.
fn reply_attack(name: &str, number: usize, exchange: &mut Exchange) -> Option<Step> {
    let plain = Reply::new(200);
    let reply = match name {
        "reply-status" => Reply::new(u16::try_from(number).unwrap_or(u16::MAX)),
        "reply-crlf" => plain.header("x-bad", "a\r\nx-injected: yes"),
        "reply-name" => plain
            .header("x bad\r\n", "a")
            .header("", "a")
            .header("X-Upper", "a"),
        "reply-framing" => FRAMING.iter().fold(plain.body("four"), |reply, (name, value)| {
            reply.header(name, value)
        }),
        "reply-headers" => (0..number).fold(plain, |reply, n| reply.header(&format!("x-{n}"), "a")),
        "reply-large" => plain.body(vec![b'x'; number]),
        "reply-twice" => {
            let _ = exchange.reply(Reply::new(201).header("x-first", "1").body("first"));
            Reply::new(202).body("second")
        }
        _ => return None,
    };
    Some(Step::Reply(exchange.reply(reply)))
}

/// Those on fields and what stands beside them: each on both messages, whatever the phase.
fn field_attack(name: &str, number: usize, exchange: &mut Exchange) -> bool {
    let request = &mut exchange.request;
    match name {
        "method" => METHODS.iter().for_each(|method| request.set_method(method)),
        "path" => PATHS.iter().for_each(|path| request.set_path(path)),
        "authority" => AUTHORITIES.iter().for_each(|host| request.set_authority(host)),
        "set-status" => {
            let status = u16::try_from(number).unwrap_or(u16::MAX);
            exchange.response.set_status(status);
        }
        "names" => set_all(exchange, &NAMES.map(|name| field(name, b"a"))),
        "values" => set_all(exchange, &VALUES.map(|value| field("x-bad", value))),
        "pseudo" => set_all(
            exchange,
            &PSEUDO.map(|(name, value)| field(name, value.as_bytes())),
        ),
        "framing" => set_all(
            exchange,
            &FRAMING.map(|(name, value)| field(name, value.as_bytes())),
        ),
        "unframe" => unframe(exchange),
        "long-name" => set_all(exchange, &[field(&"x".repeat(number), b"a")]),
        "long-value" => set_all(exchange, &[field("x-long", &vec![b'x'; number])]),
        "list" => {
            let fields: Vec<_> = (0..number).map(|n| field(&format!("x-{n}"), b"a")).collect();
            exchange.request.set_headers(&fields);
            exchange.response.set_headers(&fields);
        }
        "append" => {
            for _ in 0..number {
                exchange.request.append_header("x-many", "a");
                exchange.response.append_header("x-many", "a");
            }
        }
        _ => return false,
    }
    true
}

/// Those on what the host keeps for the exchange, and on the wrong phase.
fn state_attack(name: &str, number: usize, exchange: &mut Exchange) -> bool {
    match name {
        "reply-unsaid" => {
            let _ = exchange.reply(Reply::new(201).body("never sent"));
        }
        "replace-body" => exchange.replace_body(vec![b'x'; number]),
        "trailers" => {
            for (name, value) in [("x-late", "a"), ("content-length", "5"), ("x-bad", "a\r\nb: c")] {
                exchange.request_trailers.set_header(name, value);
                exchange.response_trailers.set_header(name, value);
            }
        }
        "note-flood" => (0..number).for_each(|n| exchange.set_note(&format!("{n}"), [0; 1024])),
        "note-large" => exchange.set_note("large", vec![0; number]),
        "note-key" => exchange.set_note(&"k".repeat(number), "a"),
        "shared-flood" => (0..number).for_each(|n| exchange.set_shared("flood", &format!("{n}"), [0; 1024])),
        "shared-large" => exchange.set_shared("flood", "large", vec![0; number]),
        _ => return false,
    }
    true
}

fn set_all(exchange: &mut Exchange, fields: &[Field]) {
    exchange.request.set_headers(fields);
    exchange.response.set_headers(fields);
    for field in fields {
        exchange.request.set_header(&field.name, &field.value);
        exchange.request.append_header(&field.name, &field.value);
        exchange.response.set_header(&field.name, &field.value);
        exchange.response.append_header(&field.name, &field.value);
    }
}

fn unframe(exchange: &mut Exchange) {
    let names = FRAMING.iter().chain(&PSEUDO).map(|(name, _)| *name);
    for name in names.chain(["host"]) {
        exchange.request.remove_header(name);
        exchange.response.remove_header(name);
    }
}

fn field(name: &str, value: &[u8]) -> Field {
    Field {
        name: name.to_owned(),
        value: value.to_vec(),
    }
}

const METHODS: [&str; 6] = ["", "GET /x", "G\r\nET", "CONNECT", "get\0", "\u{e9}"];

const PATHS: [&str; 7] = [
    "",
    "no-slash",
    "/a b",
    "/a\r\nx: y",
    "http://evil.example/",
    "//evil.example/",
    "/\u{e9}",
];

const AUTHORITIES: [&str; 5] = [
    "",
    "a b",
    "a\r\nx-injected: yes",
    "user@evil.example",
    "evil.example:99999",
];

const NAMES: [&str; 8] = [
    "", "x bad", "x:bad", "x\r\nbad", "x\0bad", "\u{e9}", "(bad)", ":unknown",
];

const VALUES: [&[u8]; 6] = [
    b"a\r\nx-injected: yes",
    b"a\nb",
    b"a\0b",
    b"\x7f",
    b"\xff\xfe",
    b" a \t",
];

const PSEUDO: [(&str, &str); 8] = [
    (":method", "BAD METHOD"),
    (":method", "CONNECT"),
    (":path", "no slash"),
    (":path", "/a\r\nx-injected: yes"),
    (":authority", "a b"),
    (":scheme", "gopher"),
    (":status", "abc"),
    (":status", "99"),
];

const FRAMING: [(&str, &str); 8] = [
    ("content-length", "3"),
    ("transfer-encoding", "chunked"),
    ("connection", "close, x-probe"),
    ("keep-alive", "timeout=1"),
    ("upgrade", "websocket"),
    ("te", "trailers"),
    ("trailer", "x-late"),
    ("proxy-connection", "close"),
];

weir_sdk::policy!(At<Hostile>);

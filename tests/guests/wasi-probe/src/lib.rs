//! A `wasi:http` handler that tries what its host must bound.
//!
//! | path | answers |
//! |---|---|
//! | `/reach` | a line for each thing of the system that it tried: files, sockets, names, arguments, variables |
//! | `/fetch` | what a `POST /inner` with this request's body to the host of the field `x-to` answers: its status as `x-status`, its body; or `x-error` |
//! | `/endless` | bytes without end |
//! | `/wait` | nothing: it sleeps for an hour |
//! | `/leak` | `leaked`, without ever finishing the body |
//! | `/after` | `content-length: 4`, `done`, and then a line to standard output |
//! | `/memory` | nothing: it takes memory without end |
//! | `/early` | `early` at once, without reading the request |
//! | `/more` | `content-length: 4` and six bytes |
#![cfg(target_os = "wasi")]

use std::mem;

use wasip2::clocks::monotonic_clock;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme,
};
use wasip2::io::streams::OutputStream;

struct Probe;

impl Guest for Probe {
    fn handle(request: IncomingRequest, answer: ResponseOutparam) {
        match request.path_with_query().unwrap_or_default().as_str() {
            "/reach" => respond(answer, &[], reach().as_bytes()),
            "/fetch" => fetch(&request, answer),
            "/endless" => {
                let (body, out) = begin(answer, &[]);
                while send(&out, &[b'x'; 4096]) {}
                drop(out);
                drop(body);
            }
            "/wait" => monotonic_clock::subscribe_duration(HOUR).block(),
            "/leak" => {
                let (body, out) = begin(answer, &[]);
                send(&out, b"leaked");
                drop(out);
                mem::forget(body);
            }
            "/after" => {
                respond(answer, &[("content-length", "4")], b"done");
                println!("after the answer");
            }
            "/memory" => {
                let mut all = Vec::new();
                loop {
                    all.push(vec![1u8; 1 << 20]);
                    std::hint::black_box(&all);
                }
            }
            "/early" => respond(answer, &[], b"early"),
            "/more" => respond(answer, &[("content-length", "4")], b"longer"),
            _ => respond(answer, &[], b"?"),
        }
    }
}

/// What of a system can be had.
fn reach() -> String {
    let files = std::fs::read_dir("/").is_ok() || std::fs::write("/tmp/x", "x").is_ok();
    let sockets = std::net::TcpStream::connect("127.0.0.1:80").map(drop);
    let sockets = sockets.map_or_else(|error| format!("{:?}", error.kind()), |()| "connected".to_owned());
    let names = std::net::ToSocketAddrs::to_socket_addrs("localhost:80").is_ok();
    let arguments = std::env::args().count();
    let variables: Vec<_> = std::env::vars()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let variables = variables.join(" ");
    format!("files={files}\nsockets={sockets}\nnames={names}\narguments={arguments}\nvariables={variables}\n")
}

fn fetch(request: &IncomingRequest, answer: ResponseOutparam) {
    let to = request
        .headers()
        .get("x-to")
        .into_iter()
        .next()
        .unwrap_or_default();
    let outgoing = OutgoingRequest::new(Fields::new());
    let set = outgoing.set_method(&Method::Post).is_ok()
        && outgoing.set_scheme(Some(&Scheme::Http)).is_ok()
        && outgoing
            .set_authority(Some(&String::from_utf8_lossy(&to)))
            .is_ok()
        && outgoing.set_path_with_query(Some("/inner")).is_ok();
    if !set {
        return respond(answer, &[("x-error", "request")], b"");
    }
    let Ok(body) = outgoing.body() else { return };
    let asked = outgoing_handler::handle(outgoing, None);
    let Ok(out) = body.write() else { return };
    for piece in read(request) {
        send(&out, &piece);
    }
    drop(out);
    let _ = OutgoingBody::finish(body, None);
    match asked.and_then(|future| {
        future.subscribe().block();
        future
            .get()
            .and_then(Result::ok)
            .unwrap_or(Err(ErrorCode::InternalError(None)))
    }) {
        Err(code) => respond(answer, &[("x-error", &format!("{code:?}"))], b""),
        Ok(response) => {
            let status = response.status().to_string();
            respond(answer, &[("x-status", &status)], &whole(&response));
        }
    }
}

fn whole(response: &IncomingResponse) -> Vec<u8> {
    let Ok(body) = response.consume() else {
        return Vec::new();
    };
    drain(body).concat()
}

fn read(request: &IncomingRequest) -> Vec<Vec<u8>> {
    request.consume().map(drain).unwrap_or_default()
}

fn drain(body: IncomingBody) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    if let Ok(stream) = body.stream() {
        while let Ok(piece) = stream.blocking_read(16 << 10) {
            pieces.push(piece);
        }
    }
    pieces
}

fn respond(answer: ResponseOutparam, fields: &[(&str, &str)], bytes: &[u8]) {
    let (body, out) = begin(answer, fields);
    for piece in bytes.chunks(4096) {
        send(&out, piece);
    }
    drop(out);
    let _ = OutgoingBody::finish(body, None);
}

#[allow(clippy::expect_used, reason = "a host that refuses these is broken")]
fn begin(answer: ResponseOutparam, fields: &[(&str, &str)]) -> (OutgoingBody, OutputStream) {
    let headers = Fields::new();
    for (name, value) in fields {
        headers.set(name, &[value.as_bytes().to_vec()]).expect("a field");
    }
    let response = OutgoingResponse::new(headers);
    let body = response.body().expect("a body");
    ResponseOutparam::set(answer, Ok(response));
    let out = body.write().expect("a stream");
    (body, out)
}

/// False when nobody reads any more.
fn send(out: &OutputStream, bytes: &[u8]) -> bool {
    out.blocking_write_and_flush(bytes).is_ok()
}

/// In nanoseconds.
const HOUR: u64 = 3_600_000_000_000;

wasip2::http::proxy::export!(Probe);

//! Calls a gRPC backend and shows what came of it in `x-grpc-…` fields. It imports `grpc`.
//!
//! Words: `backend=`, `service=`, `method=`, `message=HEX`, `metadata=NAME:VALUE`, `timeout=MS`, `max=BYTES`; those in
//! the request header `x-grpc` count after them. `x-grpc-error` has the step that failed and why, such as
//! `send:connect`; messages are shown in hexadecimal digits.
//!
//! One message there and back in the request head shows `x-grpc-code`, `x-grpc-message`, `x-grpc-status`,
//! `x-grpc-metadata`, `x-grpc-trailers`. With the word `stream`, the request head opens a stream, sends `messages=` (1)
//! messages, and keeps the stream in a note; the response head takes it up, receives as many, finishes, and
//! shows `x-grpc-messages` and the end. The message is then, without `message=`, the path as string field 1. `cancel`
//! ends the stream in the response head instead; `hold` leaves it open to the end of the exchange.

use std::time::Duration;

use weir_sdk::grpc::{self, Answer, Call, Error, Received, Status, Stream};
use weir_sdk::{Exchange, HeadAction, Phases, Policy};
use weir_test_guests::{Options, from_hex, listing, show, to_hex};

const WORDS: &[&str] = &[
    "backend=",
    "service=",
    "method=",
    "message=",
    "metadata=",
    "timeout=",
    "max=",
    "stream",
    "messages=",
    "cancel",
    "hold",
];

struct GrpcProbe {
    options: Options,
}

weir_sdk::note! {
    struct Open {
        stream: Stream,
        messages: u32,
        cancel: bool,
        hold: bool,
    }
}

impl Policy for GrpcProbe {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let options = Options::read(config, WORDS)?;
        call(&options)?;
        Ok(Self { options })
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD | Phases::RESPONSE_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        let more = exchange.request.header("x-grpc").unwrap_or_default();
        let outcome = self.options.with(&more).and_then(|options| {
            if options.has("stream") {
                open(&options, exchange)
            } else {
                unary(&options, exchange)
            }
        });
        if let Err(problem) = outcome {
            show(exchange, Phases::REQUEST_HEAD, "x-grpc-error", problem);
        }
        HeadAction::Next
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        if let Some(open) = exchange.state::<Open>()
            && let Err(problem) = resume(&open, exchange)
        {
            show(exchange, Phases::RESPONSE_HEAD, "x-grpc-error", problem);
        }
        HeadAction::Next
    }
}

fn unary(options: &Options, exchange: &mut Exchange) -> Result<(), String> {
    let message = message(options, exchange)?;
    let backend = options.get("backend").unwrap_or_default();
    let Answer {
        message,
        metadata,
        status,
    } = grpc::unary(backend, call(options)?, message).map_err(at("unary"))?;
    if let Some(message) = message {
        show(exchange, Phases::REQUEST_HEAD, "x-grpc-message", to_hex(&message));
    }
    show(
        exchange,
        Phases::REQUEST_HEAD,
        "x-grpc-metadata",
        listing(&metadata),
    );
    end(exchange, Phases::REQUEST_HEAD, &status);
    Ok(())
}

fn open(options: &Options, exchange: &mut Exchange) -> Result<(), String> {
    let backend = options.get("backend").unwrap_or_default();
    let stream = Stream::open(backend, call(options)?).map_err(at("open"))?;
    let open = Open {
        stream,
        messages: options.number("messages", 1)?,
        cancel: options.has("cancel"),
        hold: options.has("hold"),
    };
    exchange.set_state(&open);
    let message = message(options, exchange)?;
    for _ in 0..open.messages {
        stream.send(&message).map_err(at("send"))?;
    }
    show(
        exchange,
        Phases::REQUEST_HEAD,
        "x-grpc-stream",
        stream.id().to_string(),
    );
    Ok(())
}

fn resume(open: &Open, exchange: &mut Exchange) -> Result<(), String> {
    if open.cancel {
        open.stream.cancel();
        return Ok(());
    }
    let mut messages = Vec::new();
    for _ in 0..open.messages {
        match open.stream.receive().map_err(at("receive"))? {
            Received::Message(message) => messages.push(to_hex(&message)),
            Received::End(status) => {
                end(exchange, Phases::RESPONSE_HEAD, &status);
                break;
            }
        }
    }
    show(
        exchange,
        Phases::RESPONSE_HEAD,
        "x-grpc-messages",
        messages.join(","),
    );
    if open.hold {
        return Ok(());
    }
    open.stream.finish();
    if let Received::End(status) = open.stream.receive().map_err(at("end"))? {
        end(exchange, Phases::RESPONSE_HEAD, &status);
    }
    Ok(())
}

fn end(exchange: &mut Exchange, phase: Phases, status: &Status) {
    show(exchange, phase, "x-grpc-code", status.code.to_string());
    show(exchange, phase, "x-grpc-status", &status.message);
    show(exchange, phase, "x-grpc-trailers", listing(&status.trailers));
}

fn call(options: &Options) -> Result<Call, String> {
    let mut call = Call::new(
        options.get("service").unwrap_or_default(),
        options.get("method").unwrap_or_default(),
    )
    .max_message(options.number("max", 0)?);
    if options.get("timeout").is_some() {
        call = call.timeout(Duration::from_millis(options.number("timeout", 0)?));
    }
    for field in options.all("metadata") {
        let (name, value) = field.split_once(':').ok_or("metadata=: expected NAME:VALUE")?;
        call = call.metadata(name, value);
    }
    Ok(call)
}

fn message(options: &Options, exchange: &Exchange) -> Result<Vec<u8>, String> {
    if let Some(hex) = options.get("message") {
        return from_hex(hex);
    }
    let path = exchange.request.path();
    let len = u8::try_from(path.len()).ok().filter(|len| *len < 128);
    let len = len.ok_or("the path is too long for one byte of length")?;
    Ok([&[0x0a, len], path.as_bytes()].concat())
}

fn at(step: &str) -> impl Fn(Error) -> String + '_ {
    move |error| format!("{step}:{}", error.name())
}

weir_sdk::policy!(GrpcProbe);

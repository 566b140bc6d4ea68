//! What the bench measures: one host function, called many times in one request head; bodies passed or replaced.
//!
//! `times=N call=NAME` calls the function of that name, which is the rest of the line and in the table below.
//! `replaces` stages each chunk of the request body as its own replacement; else it passes. Every phase is wanted,
//! and does nothing else. It imports every capability.

use weir_sdk::grpc::{self, Stream};
use weir_sdk::upstream::{self, Call};
use weir_sdk::{
    Attribute, BodyAction, Chunk, Exchange, Field, HeadAction, Phases, Policy, Reply, clock, environment, kv,
    log, metrics, random, sink,
};
use weir_test_guests::Options;

struct Costs {
    call: HostCall,
    times: u32,
    replaces: bool,
}

/// One use of a host function; what it answers is seen, so that no call is optimised away.
type HostCall = fn(&mut Exchange);

macro_rules! calls {
    ($($name:literal => |$exchange:ident| $call:expr,)*) => {
        fn find(name: &str) -> Option<HostCall> {
            let call: HostCall = match name {
                $($name => |$exchange| {
                    let _answer = std::hint::black_box($call);
                },)*
                _ => return None,
            };
            Some(call)
        }
    };
}

calls! {
    "nothing" => |_exchange| (),
    "request.method" => |exchange| exchange.request.method(),
    "request.set-method" => |exchange| exchange.request.set_method("POST"),
    "request.scheme" => |exchange| exchange.request.scheme(),
    "request.authority" => |exchange| exchange.request.authority(),
    "request.set-authority" => |exchange| exchange.request.set_authority("b.example"),
    "request.path" => |exchange| exchange.request.path(),
    "request.set-path" => |exchange| exchange.request.set_path("/other?z=1"),
    "request.path-starts-with" => |exchange| exchange.request.path_starts_with("/api/"),
    "request.header" => |exchange| exchange.request.header("x-api-key"),
    "request.header-values" => |exchange| exchange.request.header_values("x-api-key"),
    "request.has-header" => |exchange| exchange.request.has_header("x-api-key"),
    "request.header-is" => |exchange| exchange.request.header_is("x-api-key", "secret"),
    "request.headers-block" => |exchange| exchange.request.headers(),
    "request.set-header" => |exchange| exchange.request.set_header("x-set", "on"),
    "request.append-header, remove-header" => |exchange| {
        exchange.request.append_header("x-appended", "on");
        exchange.request.remove_header("x-appended");
    },
    "request.set-headers" => |exchange| exchange.request.set_headers(&three_fields()),
    "response.status" => |exchange| exchange.response.status(),
    "response.set-status" => |exchange| exchange.response.set_status(202),
    "response.header" => |exchange| exchange.response.header("x-api-key"),
    "response.set-header" => |exchange| exchange.response.set_header("x-set", "on"),
    "request-trailers.header" => |exchange| exchange.request_trailers.header("x-none"),
    "response-trailers.header" => |exchange| exchange.response_trailers.header("x-none"),
    "exchange.attribute (int)" => |exchange| exchange.attribute(Attribute::BytesReceived),
    "exchange.attribute (text)" => |exchange| exchange.attribute(Attribute::DownstreamRemoteAddress),
    "exchange.reply" => |exchange| exchange.reply(Reply::new(403).text("not today")),
    "exchange.replace-body" => |exchange| exchange.replace_body([b'x'; 100]),
    "exchange.note-set" => |exchange| exchange.set_note("note", "value"),
    "exchange.note-get" => |exchange| exchange.note("none"),
    "exchange.shared-set" => |exchange| exchange.set_shared("bench", "key", "value"),
    "exchange.shared-get" => |exchange| exchange.shared("bench", "none"),
    "log.enabled" => |_exchange| log::enabled(log::Level::Info),
    "log.write (to a log that throws it away)" => |_exchange| log::info("a line of a policy"),
    "log.write (level off)" => |_exchange| log::debug("a line of a policy"),
    "clock.now" => |_exchange| clock::now(),
    "clock.monotonic" => |_exchange| clock::monotonic(),
    "random.next" => |_exchange| random::next(),
    "random.bytes (32)" => |_exchange| random::bytes(32),
    "environment.get" => |_exchange| environment::get("ZONE"),
    "sink.write (100 bytes, thrown away)" => |_exchange| sink::write(0, &[b'x'; 100]),
    "kv.set" => |_exchange| kv::set("key", "value", None),
    "kv.get" => |_exchange| kv::get("key"),
    "kv.get, compare-and-set" => |_exchange| kv::update("swapped", None, |_| Some(vec![b'x'])),
    "kv.increment" => |_exchange| kv::increment("count", 1, None),
    "kv.delete" => |_exchange| kv::delete("none"),
    "kv.keys (one)" => |_exchange| kv::keys("key", 10),
    "metrics.add (one label)" => |_exchange| metrics::add("calls", &[("kind", "bench")], 1),
    "metrics.set (one label)" => |_exchange| metrics::set("level", &[("kind", "bench")], 1.5),
    "metrics.observe (one label)" => |_exchange| metrics::observe("time_seconds", &[("kind", "bench")], 0.001),
    "upstream.fetch" => |_exchange| upstream::fetch("backend", Call::get("/check")).map(|it| it.status),
    "grpc.unary" => |_exchange| grpc::unary("backend", service(), b"message").map(|it| it.status.code),
    "grpc.open, cancel" => |_exchange| Stream::open("backend", service()).map(Stream::cancel),
    "grpc.open, send, receive, cancel" => |_exchange| {
        let stream = Stream::open("backend", service());
        stream.and_then(|stream| {
            stream.send(b"message")?;
            let received = stream.receive().map(drop);
            stream.cancel();
            received
        })
    },
}

fn three_fields() -> [Field; 3] {
    ["x-one", "x-two", "x-three"].map(|name| Field {
        name: name.to_owned(),
        value: b"on".to_vec(),
    })
}

fn service() -> grpc::Call {
    grpc::Call::new("bench.Service", "Call")
}

impl Policy for Costs {
    fn configure(config: &[u8]) -> Result<Self, String> {
        // The name may have spaces: it is the rest of the line.
        let text = String::from_utf8_lossy(config);
        let text = text.trim_matches('"');
        let (words, name) = text.split_once("call=").unwrap_or((text, "nothing"));
        let options = Options::read(words.as_bytes(), &["times=", "replaces"])?;
        Ok(Self {
            call: find(name).ok_or_else(|| format!("call={name}: there is no such host function"))?,
            times: options.number("times", 0)?,
            replaces: options.has("replaces"),
        })
    }

    fn phases(&self) -> Phases {
        Phases::all()
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        for _ in 0..self.times {
            (self.call)(exchange);
        }
        HeadAction::Next
    }

    fn on_request_body(&self, exchange: &mut Exchange, chunk: Chunk) -> BodyAction {
        if self.replaces {
            exchange.replace_body(&chunk.bytes);
        }
        BodyAction::Next
    }
}

weir_sdk::policy!(Costs);

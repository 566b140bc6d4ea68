//! What the host offers to plugins: one file per interface of `weir:policy`.
//!
//! All offered interfaces are linked for every plugin; which of them a plugin may import is decided before, from
//! its imports and its grants. Host functions never fail for what a guest asked wrongly: a bad edit is left out with a
//! log line. They fail, and so end the call, only when a limit is passed. Those that wait suspend the guest's fiber.

mod clock;
mod connection;
mod environment;
mod exchange;
mod fields;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod grpc;
mod kv;
mod log;
mod metrics;
mod random;
mod request;
mod response;
mod sink;
mod trailers;
mod upstream;

use wasmtime::component::{Linker, LinkerInstance};
use wasmtime::{Engine, Result};

use crate::bindings::{PACKAGE, VERSION};
use crate::state::State;

use trailers::{RequestTrailers, ResponseTrailers};

pub(crate) use environment::Variable;
pub(crate) use log::{LogLimit, enabled as log_enabled, line as log_line};
pub use sink::{Sink, SinkError, SinkOpener};

/// How an interface of the contract is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Every component of its world has it.
    Always,
    /// It must be granted, with a capability written like this.
    Granted(&'static str),
}

/// How `interface` of `weir:policy` is offered; `None` when there is no such interface.
pub(crate) fn offer(interface: &str) -> Option<Offer> {
    Some(match interface {
        "types" | "request" | "response" | "request-trailers" | "response-trailers" | "exchange"
        | "connection" => Offer::Always,
        "log" => Offer::Granted("log"),
        "clock" => Offer::Granted("clock"),
        "random" => Offer::Granted("random"),
        "environment" => Offer::Granted("environment:NAME"),
        "sink" => Offer::Granted("sink:/PATH"),
        "upstream" | "grpc" => Offer::Granted("upstream"),
        "kv" => Offer::Granted("kv"),
        "metrics" => Offer::Granted("metrics"),
        _ => return None,
    })
}

/// Links every offered interface.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let interfaces: [(&str, Link); 16] = [
        ("types", |_| Ok(())),
        ("request", request::link),
        ("response", response::link),
        ("request-trailers", fields::link::<RequestTrailers>),
        ("response-trailers", fields::link::<ResponseTrailers>),
        ("exchange", exchange::link),
        ("connection", connection::link),
        ("upstream", upstream::link),
        ("grpc", grpc::link),
        ("kv", kv::link),
        ("metrics", metrics::link),
        ("log", log::link),
        ("clock", clock::link),
        ("random", random::link),
        ("environment", environment::link),
        ("sink", sink::link),
    ];
    for (interface, link) in interfaces {
        link(&mut linker.instance(&format!("{PACKAGE}/{interface}@{VERSION}"))?)?;
    }
    Ok(linker)
}

/// Links the functions of one interface.
type Link = fn(&mut Functions<'_>) -> Result<()>;

/// The functions of one interface.
type Functions<'a> = LinkerInstance<'a, State>;

/// The store as a host function sees it.
type Caller<'a> = wasmtime::StoreContextMut<'a, State>;

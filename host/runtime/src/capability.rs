//! What the host offers to plugins: one file per interface of `weir:policy`.
//!
//! All offered interfaces are linked for every plugin; which of them a plugin may import is decided before, from
//! its imports and its grants. Host functions never wait and never fail for what a guest asked wrongly: a bad edit
//! is left out with a log line. They fail, and so end the call, only when a limit is passed.

mod clock;
mod environment;
mod exchange;
mod fields;
mod log;
mod random;
mod request;
mod response;
mod sink;

use wasmtime::component::{Linker, LinkerInstance};
use wasmtime::{Engine, Result};

use crate::bindings::{PACKAGE, VERSION};
use crate::instance::State;

pub(crate) use environment::Variable;
pub use sink::{Sink, SinkError, SinkOpener};

/// How an interface of the contract is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Every policy has it.
    Always,
    /// It must be granted, with a capability written like this.
    Granted(&'static str),
    /// Part of the contract, not of this version of the gateway.
    NotYet,
}

/// How `interface` of `weir:policy` is offered; `None` when there is no such interface.
pub(crate) fn offer(interface: &str) -> Option<Offer> {
    Some(match interface {
        "types" | "request" | "response" | "exchange" => Offer::Always,
        "log" => Offer::Granted("log"),
        "clock" => Offer::Granted("clock"),
        "random" => Offer::Granted("random"),
        "environment" => Offer::Granted("environment:NAME"),
        "sink" => Offer::Granted("sink:/PATH"),
        "upstream" | "kv" | "metrics" => Offer::NotYet,
        _ => return None,
    })
}

/// Links every offered interface.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let interfaces: [(&str, Link); 9] = [
        ("types", |_| Ok(())),
        ("request", request::link),
        ("response", response::link),
        ("exchange", exchange::link),
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

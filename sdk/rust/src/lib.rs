//! The Rust SDK for Weir plugins. A guest may not depend on the gateway's own crates: the WIT package is all
//! that both sides share.
#![doc = include_str!("../README.md")]

mod access_log;
mod background;
#[doc(hidden)]
#[rustfmt::skip]
#[allow(
    missing_docs, unsafe_code, unreachable_pub, unused_qualifications, unused_imports, clippy::all,
    clippy::allow_attributes_without_reason, clippy::unwrap_used, clippy::panic, clippy::use_self,
    clippy::indexing_slicing,
    reason = "generated"
)]
pub mod bindings;
mod capability;
mod connection;
mod exchange;
#[doc(hidden)]
pub mod guest;
#[cfg(feature = "json")]
mod json;
mod message;
mod note;
mod policy;
mod slot;

pub use access_log::AccessLog;
pub use background::Background;
pub use bindings::weir::policy::types::{
    Affinity, BodyAction, ConnectionAction, ConnectionEvents, Field, HeadAction, Oversize, Phases, Whole,
};
pub use capability::{clock, environment, grpc, kv, log, metrics, random, sink, upstream};
pub use connection::{Connection, ConnectionFilter};
pub use exchange::{Attribute, Exchange, Replied, Reply, Value};
#[cfg(feature = "json")]
pub use json::from_json;
pub use message::{Request, RequestTrailers, Response, ResponseTrailers};
pub use note::{Note, Stored};
pub use policy::{Chunk, Policy};

#[doc(hidden)]
pub use wit_bindgen::rt;

/// Compiles the examples of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/write-a-plugin/README.md")]
struct WriteAPlugin;

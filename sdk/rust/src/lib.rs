//! The Rust SDK for Weir policies. A guest may not depend on the gateway's own crates: the WIT package is all
//! that both sides share.
#![doc = include_str!("../README.md")]

#[doc(hidden)]
#[rustfmt::skip]
#[allow(
    missing_docs, unsafe_code, unreachable_pub, unused_qualifications, clippy::all,
    clippy::allow_attributes_without_reason, clippy::unwrap_used, clippy::panic, clippy::use_self,
    clippy::indexing_slicing,
    reason = "generated"
)]
pub mod bindings;
mod capability;
mod exchange;
#[doc(hidden)]
pub mod guest;
#[cfg(feature = "json")]
mod json;
mod message;
mod policy;
mod slot;

pub use bindings::weir::policy::types::{Affinity, BodyAction, Field, HeadAction, Oversize, Phases, Whole};
pub use capability::{clock, environment, kv, log, metrics, random, sink, upstream};
pub use exchange::{Attribute, Exchange, Replied, Reply, Value};
#[cfg(feature = "json")]
pub use json::from_json;
pub use message::{Request, Response};
pub use policy::{Chunk, Policy};

#[doc(hidden)]
pub use wit_bindgen::rt;

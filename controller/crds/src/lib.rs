//! The Kubernetes kinds that Weir reads, as Rust types: Gateway API, the core kinds behind backends,
//! kgateway's policies and Weir's own.
//!
//! The types are the wire form and nothing more: they hold what was written, with every field of the
//! kind named, so that a real field which this version does not act on is still recognised. They decide
//! nothing. Their JSON schemas refuse unknown fields.

pub mod core;
pub mod gateway_api;
pub mod kgateway;
mod kind;
mod meta;
mod object;
pub mod weir;

pub use kind::{Kind, Scope, UnknownKind};
pub use meta::{ObjectMeta, Resource};
pub use object::Object;

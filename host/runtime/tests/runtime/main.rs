//! Real components as filters, without a proxy.
//!
//! The guests are those of `tests/guests`, built by `cargo xtask plugins`; what none of them can show is written
//! as a small module in text.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends with its first failure"
)]

mod affinity;
mod artifact;
mod background;
mod body;
mod cache;
mod callout;
mod capability;
mod connection;
mod contract;
mod crash;
mod edit;
mod fault;
mod grpc;
mod handler;
mod harness;
mod hostile;
mod isolation;
mod metric;
mod pool;
mod recycle;
mod slot;
mod store;
mod trailers;
mod wait;
mod world;

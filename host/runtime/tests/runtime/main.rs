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

mod artifact;
mod body;
mod cache;
mod capability;
mod contract;
mod edit;
mod fault;
mod harness;
mod pool;
mod slot;

//! The data path on real sockets, with filters written in Rust and without wasmtime.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets something else has failed"
)]

mod body;
mod chain;
mod hygiene;
mod plan;
mod routing;
mod support;
mod upstream;

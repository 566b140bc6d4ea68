//! The data path on real sockets, with filters written in Rust and without wasmtime.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets something else has failed"
)]

mod body;
mod callout;
mod chain;
mod connection;
mod handler;
mod hygiene;
mod phase;
mod plan;
mod routing;
mod stream;
mod support;
mod trailers;
mod upstream;
mod waiting;

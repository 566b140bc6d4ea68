//! The `weir` command as its users meet it: a real process, real files, real sockets, real components.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets something else has failed"
)]

mod bad_input;
mod extension;
mod failure;
mod harness;
mod plugin;
mod print;
mod quickstart;
mod reload;

//! The data path on real sockets, with filters written in Rust and without wasmtime.

mod body;
mod chain;
mod hygiene;
mod plan;
mod routing;
mod support;
mod upstream;

//! Components of the worlds beside exchanges, in a real fleet on real sockets; and gateways whose plugins change.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends with its first failure"
)]

mod background;
mod connection;
mod replaced;
mod site;

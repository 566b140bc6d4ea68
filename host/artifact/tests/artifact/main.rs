//! Fetching from outside: against a real registry, and against servers that lie.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

mod hostile;
mod login;
mod oci;
mod signature;
mod source;
mod support;
mod token;
mod traffic;

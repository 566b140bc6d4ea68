//! Wiring of a running gateway: a snapshot's plugins are loaded, a plan is built and the fleet swaps to
//! it, or the last good one stays.
//!
//! The only place where proxy and runtime meet, through `weir-filter`. It decides nothing about requests.

pub mod admin;
mod failure;
mod gateway;
mod prepare;
mod sink;

pub use failure::{Failure, Subject};
pub use gateway::Gateway;
pub use prepare::{Builtins, check};
pub use sink::{FileSinks, NoSinks};

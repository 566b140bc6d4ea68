//! Wiring of a running gateway: a snapshot's plugins are fetched and loaded, a plan is built and the fleet swaps to
//! it. What cannot be made keeps its last good generation.
//!
//! The only place where proxy and runtime meet, through `weir-filter`. It decides nothing about requests.

pub mod admin;
mod background;
mod broken;
mod failure;
mod gateway;
mod prepare;
mod shadow;
mod sink;
mod source;

pub use background::{BackgroundHealth, BackgroundTask, BackgroundThread};
pub use failure::{Failure, Subject};
pub use gateway::{Applied, Gateway, Health};
pub use prepare::{Builtins, check};
pub use sink::{FileSinks, NoSinks};
pub use source::{Arrived, Sources};

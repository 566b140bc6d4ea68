//! The data path: listeners, connections, routing, chains and upstreams.
//!
//! Thread per core: a worker owns its sockets, its upstream connections and one handle of the current
//! `Plan`; nothing on the request path is shared or locked. What a filter does is behind `weir-filter`;
//! this crate must not know what runs it.

mod body;
mod callout;
mod connection;
mod filtered;
mod fleet;
mod flow;
mod gathered;
mod handler;
mod headers;
mod listener;
mod place;
mod plan;
mod request;
mod response;
mod upstream;
mod worker;

pub use fleet::{BindError, Fleet, FleetConfig};
pub use place::{Misplaced, misplaced};
pub use plan::Plan;

//! What tests need around a gateway: an origin and a client on real sockets, byte for byte.
//!
//! Blocking and without an HTTP library on purpose: a test sees exactly what is on the wire. Knows nothing
//! of Weir.

mod client;
mod message;
mod origin;
mod wait;

pub use client::Client;
pub use message::{Message, read_message};
pub use origin::{Origin, Seen};
pub use wait::eventually;

//! What tests need around a gateway: an origin and a client on real sockets, byte for byte.
//!
//! HTTP/1 is blocking and without an HTTP library on purpose: a test sees exactly what is on the wire. HTTP/2 is at
//! the level of streams, windows and resets. Knows nothing of Weir.

mod client;
mod http2;
mod message;
mod origin;
mod registry;
mod wait;

pub use client::Client;
pub use http2::{Http2Origin, send_all};
pub use message::{Message, read_message};
pub use origin::{Origin, Seen};
pub use registry::{Registry, RegistrySetup};
pub use wait::eventually;

//! Runs plugins: components become filters.
//!
//! The only crate that names wasmtime. It knows nothing of sockets or of the proxy: what a plugin may reach
//! outside its sandbox (sinks, the environment) is handed in. Nothing here waits on the request path.

mod artifact;
mod bindings;
mod capability;
mod engine;
mod error;
mod filter;
mod instance;
mod limits;
mod plugin;
mod pool;
mod runtime;

pub use capability::{Sink, SinkError, SinkOpener};
pub use engine::EngineConfig;
pub use error::{LoadError, RuntimeError};
pub use plugin::LoadedPlugin;
pub use runtime::{Runtime, RuntimeConfig};

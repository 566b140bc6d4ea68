//! Runs plugins: components become filters, and work in the background.
//!
//! The only crate that names wasmtime. It knows nothing of sockets or of the proxy: what a plugin may reach
//! outside its sandbox (sinks, backends, the store, the environment) is handed in. A call that waits suspends its
//! guest, never its worker.

mod artifact;
mod background;
mod backoff;
mod bindings;
mod budget;
mod call;
mod capability;
mod code;
mod component;
mod connection;
mod engine;
mod error;
mod export;
mod fault;
mod filter;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handler;
mod inspect;
mod instance;
mod limits;
mod plugin;
mod pool;
mod runtime;
mod state;
mod work;

pub use background::Background;
pub use capability::{Sink, SinkError, SinkOpener};
pub use engine::EngineConfig;
pub use error::{LoadError, RuntimeError};
pub use export::World;
pub use inspect::{ArtifactKind, Compiled, InspectError, Inspection, Producer, SCHEMA_SECTION, inspect};
pub use plugin::{Configuration, LoadedPlugin};
pub use runtime::{Runtime, RuntimeConfig};

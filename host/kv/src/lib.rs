//! The store behind the capability `kv`: in memory, shared by all workers, one namespace per plugin.
//!
//! Nothing here reads a clock: every operation that depends on time is told it. Nothing is written to disk, and no
//! living entry is ever given up for another one.

mod error;
mod namespace;
mod shard;
mod store;

pub use error::Error;
pub use namespace::{Entry, Namespace};
pub use store::Store;

/// Longest key, in bytes.
pub const MAX_KEY: usize = 512;

/// Longest value, in bytes, where the quota does not forbid it.
pub const MAX_VALUE: usize = 1 << 20;

/// What an entry counts for in the quota beside its key and its value: about what the store needs to keep it.
pub const ENTRY_OVERHEAD: u64 = 200;

//! How configuration arrives: manifest files on disk, and word of their changes.
//!
//! Reads bytes and reports changes; what the bytes mean is for others.

mod file;
mod watch;

pub use file::{MAX_FILE_BYTES, ReadError, SourceFile, read};
pub use watch::Watch;

//! The written configuration: the versioned, untrusted `Document`, and `lower`, which turns it into a
//! valid `Snapshot` or says everything that is wrong with it.
//!
//! Pure: no I/O, no clock. The same document comes from `weir translate`, from a file and from a
//! controller.

mod diagnostic;
pub mod document;
mod lower;

pub use diagnostic::Diagnostic;
pub use document::Document;
pub use lower::lower;

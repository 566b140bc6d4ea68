//! The content hash that names a snapshot.

use std::fmt;

/// Names the content of a snapshot: equal documents have equal revisions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision([u8; 8]);

impl Revision {
    /// Takes the first bytes of a digest of the document's canonical form.
    pub const fn from_digest(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({self})")
    }
}

//! What is wrong with a document, where, and what to do about it.

use std::fmt;

/// One defect of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The field, such as `routes[2].backends[0].cluster`.
    pub path: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

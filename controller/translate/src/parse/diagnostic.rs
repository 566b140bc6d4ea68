//! What is wrong with a manifest, where, and what to do about it.

use std::fmt;
use std::path::PathBuf;

/// One remark about a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it is a mistake.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: PathBuf,
    /// The line of the field, or else of the object; from 1.
    pub line: u64,
    /// `Kind namespace/name`, when that much could be read.
    pub object: Option<String>,
    /// The field, such as `spec.rules[0].backendRefs`.
    pub field: Option<String>,
    /// What is wrong and how to mend it.
    pub message: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Left out on purpose; worth knowing.
    Notice,
    /// A mistake: the object is not used.
    Error,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Notice => "notice",
            Severity::Error => "error",
        };
        write!(f, "{}:{}: {severity}: ", self.file.display(), self.line)?;
        for part in self.object.iter().chain(&self.field) {
            write!(f, "{part}: ")?;
        }
        f.write_str(&self.message)
    }
}

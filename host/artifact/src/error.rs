//! Why an artifact could not be had, in words for the status of the object that asked.
//!
//! Messages never repeat what a server sent, except words of the OCI error list: whoever may name a URL must not be
//! able to read a foreign server's answers through them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::Digest;

/// What went wrong in one attempt.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    /// The request itself makes no sense.
    #[error("{0}")]
    Request(String),
    /// The operator's list does not have the source.
    #[error(
        "{source_name} is not allowed: the gateway takes artifacts only from the registries of its allow-list"
    )]
    NotAllowed {
        /// The source.
        source_name: String,
    },
    /// No connection, or one that broke.
    #[error("cannot reach {url}: {problem}")]
    Connection {
        /// Without its query.
        url: String,
        /// What the system or the TLS library said.
        problem: String,
    },
    /// Something took too long.
    #[error("{what} took longer than {} s", .after.as_secs_f32())]
    Timeout {
        /// The wait.
        what: String,
        /// Its limit.
        after: Duration,
    },
    /// An answer that is no success.
    #[error("{url} answered {status}{}{}", .code.as_ref().map_or_else(String::new, |code| format!(" ({code})")), hint(*.status))]
    Status {
        /// Without its query.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The first code of the OCI error list, if any.
        code: Option<String>,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// A login that the registry asks for and Weir cannot or may not do.
    #[error("cannot log in to {registry}: {problem}")]
    Login {
        /// Host and port.
        registry: String,
        /// Why not.
        problem: String,
    },
    /// A redirect that is not followed.
    #[error("{url} redirects in a way that is not followed: {problem}")]
    Redirect {
        /// Without its query.
        url: String,
        /// Why not.
        problem: &'static str,
    },
    /// More than a limit allows.
    #[error("{what} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The thing.
        what: String,
        /// In bytes.
        limit: u64,
    },
    /// Bytes that do not mean what they should.
    #[error("{what} cannot be used: {problem}")]
    Malformed {
        /// The thing.
        what: String,
        /// What is wrong with it, and the fix where there is one.
        problem: String,
    },
    /// Bytes of another digest than they should have.
    #[error("{what} has digest {found}, not {expected}")]
    Digest {
        /// The thing.
        what: String,
        /// Asked for.
        expected: Digest,
        /// Received.
        found: Digest,
    },
    /// No signature that the key accepts.
    #[error("the signature of {what} was not verified: {problem}")]
    Signature {
        /// The artifact.
        what: String,
        /// Why not.
        problem: String,
    },
    /// A file that cannot be read or written.
    #[error("cannot use {}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
}

impl FetchError {
    /// Whether the next attempt may succeed although nobody changes anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::Timeout { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            Self::Request(_)
            | Self::NotAllowed { .. }
            | Self::Login { .. }
            | Self::Redirect { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Digest { .. }
            | Self::Signature { .. }
            | Self::File { .. } => false,
        }
    }

    /// The message, and what will come of it by itself.
    #[must_use]
    pub fn with_outlook(&self) -> String {
        if self.is_transient() {
            format!("{self}; it is tried again")
        } else {
            format!("{self}; it needs a change, and is tried again once a minute")
        }
    }

    /// How long the server wants to be left alone, if it said so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn malformed(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed {
            what: what.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File {
            path: path.into(),
            source: Arc::new(source),
        }
    }
}

const fn hint(status: u16) -> &'static str {
    match status {
        401 => ": the credentials are missing or wrong",
        403 => ": the credentials do not permit it",
        404 => ": there is no such artifact, or the credentials do not permit to see it",
        429 => ": too many requests",
        _ => "",
    }
}

/// An error with its causes, on one line: libraries put what matters into the last one.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> FetchError {
        FetchError::Status {
            url: "https://r.example/v2/".into(),
            status,
            code: None,
            retry_after: None,
        }
    }

    #[test]
    fn a_message_says_whether_waiting_helps() {
        for transient in [408, 425, 429, 500, 502, 503, 504] {
            let text = status(transient).with_outlook();
            assert!(text.ends_with("; it is tried again"), "{text}");
        }
        for permanent in [301, 400, 401, 403, 404, 410] {
            let text = status(permanent).with_outlook();
            assert!(text.contains("it needs a change"), "{text}");
        }
    }

    #[test]
    fn an_error_is_told_with_its_causes_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Layer(&'static str, #[source] Option<Box<Self>>);
        let error = Layer(
            "client error",
            Some(Box::new(Layer("refused", Some(Box::new(Layer("refused", None)))))),
        );
        assert_eq!(chain(&error), "client error: refused");
    }
}

//! What can keep a snapshot, or a part of it, from going live.

use std::fmt;
use std::net::SocketAddr;

use weir_filter::FailureReason;

/// Why a part of a snapshot did not go live; the last good one stays where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What failed.
    pub subject: Subject,
    /// What exchanges are told that meet it.
    pub reason: FailureReason,
    /// Why, and how to mend it. Names the plugin or filter itself.
    pub message: String,
    /// It may mend itself: a plugin is still being fetched.
    pub is_pending: bool,
}

/// The part of a snapshot that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A plugin's artifact, by the plugin's name.
    Plugin(String),
    /// A configured use of a plugin.
    Filter {
        /// The filter's name.
        name: String,
        /// The plugin it uses.
        plugin: String,
        /// The objects that asked for it.
        origin: Vec<String>,
    },
    /// A listener's socket.
    Listener(SocketAddr),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::Plugin(_) => f.write_str(&self.message),
            Subject::Filter { origin, .. } => {
                write!(f, "{} (asked for by {})", self.message, origin.join(", "))
            }
            Subject::Listener(address) => write!(f, "listener on {address}: {}", self.message),
        }
    }
}

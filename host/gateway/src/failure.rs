//! What can keep a snapshot from going live.

use std::fmt;
use std::net::SocketAddr;

/// Why a snapshot did not go live; the last good one stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What failed.
    pub subject: Subject,
    /// Why, and how to mend it. Names the plugin or filter itself.
    pub message: String,
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

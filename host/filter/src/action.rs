//! What a filter can answer, and the reply it can stage.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// What follows a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Go on; after a body phase with the staged replacement, or with what came.
    Next,
    /// Send the staged reply.
    Reply,
    /// After a head phase: hand the body over to this filter. After any other phase it counts as `Next`.
    Body(BodyPlan),
}

/// How a filter gets a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPlan {
    /// In one call; the chain waits at this filter until the body is there.
    Whole {
        /// Largest body held back, in bytes.
        limit: u64,
        /// What happens to a larger one.
        oversize: Oversize,
    },
    /// Chunk by chunk as it passes.
    Chunks,
}

/// What happens to a body larger than the limit of a whole plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// The exchange is refused: 413 for a request, 500 for a response.
    Reject,
    /// The body passes this filter unread.
    Skip,
    /// The filter gets chunks instead.
    Stream,
}

/// A response made here instead of upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its fields, without framing.
    pub headers: HeaderMap,
    /// Its body; empty for none.
    pub body: Bytes,
}

impl Reply {
    /// A reply without fields or body.
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

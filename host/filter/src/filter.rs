//! What a filter is.

use std::fmt;
use std::task::Context;

use crate::{Call, FailureReason, Progress};

bitflags::bitflags! {
    /// The phases in which a filter runs. A phase that is not named is never called.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Phases: u8 {
        /// The request head was read.
        const REQUEST_HEAD = 1;
        /// Request body, as the head phase planned it.
        const REQUEST_BODY = 1 << 1;
        /// The request ended with trailers.
        const REQUEST_TRAILERS = 1 << 2;
        /// The response head arrived, or a reply was made.
        const RESPONSE_HEAD = 1 << 3;
        /// Response body, as the head phase planned it.
        const RESPONSE_BODY = 1 << 4;
        /// The response ended with trailers.
        const RESPONSE_TRAILERS = 1 << 5;
        /// The exchange is over.
        const LOG = 1 << 6;
    }
}

/// One configured use of a plugin, shared by all workers.
pub trait Filter: Send + Sync + fmt::Debug {
    /// The filter's name, unique in its snapshot.
    fn name(&self) -> &str;

    /// The phases it wants.
    fn phases(&self) -> Phases;

    /// True when its calls may ask for backends, so that an exchange gets a way to them.
    fn makes_callouts(&self) -> bool {
        false
    }

    /// Counts a failure that the chain found, such as a body too large; those of its calls it has counted itself.
    /// One that stands for another passes it on.
    fn count_failure(&self, reason: FailureReason);

    /// Runs one phase, on the thread that runs the exchange.
    ///
    /// A call that cannot finish at once answers [`Progress::Waiting`] after it has arranged for `cx` to be woken.
    /// The exchange comes back with the result, also with an error: the chain goes on with it by the step's failure
    /// mode.
    fn call(&self, call: Call, cx: &mut Context<'_>) -> Progress;
}

//! Why an entry could not be written.

use crate::{MAX_KEY, MAX_VALUE};

/// Why an entry could not be written. The namespace is then as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The key is too long.
    #[error("the key has {0} bytes; at most {MAX_KEY} are allowed: hash it")]
    KeyTooLong(usize),
    /// The value is too long, or alone more than the quota.
    #[error(
        "the value has {0} bytes; at most {MAX_VALUE}, and with its key the quota, are allowed: split it"
    )]
    ValueTooLong(usize),
    /// The namespace is full of entries that have not expired.
    #[error(
        "{used} of {quota} bytes are in use and the entry needs {needed} more: delete entries, let them expire, or raise the plugin's kv quota"
    )]
    OverQuota {
        /// Bytes in use.
        used: u64,
        /// Bytes that may be in use.
        quota: u64,
        /// Bytes that the entry would add.
        needed: u64,
    },
    /// An increment met a value that is not a decimal integer of 64 bits.
    #[error(
        "the value is not a decimal integer between -2^63 and 2^63-1: increment only what increment made"
    )]
    NotInteger,
    /// An increment would leave the range of 64 bits.
    #[error("the sum is not between -2^63 and 2^63-1: delete the entry to start again")]
    Overflow,
}

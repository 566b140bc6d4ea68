//! Pieces of a body put together. One piece alone is not copied.

use bytes::{Bytes, BytesMut};

/// What has arrived so far.
#[derive(Default)]
pub(crate) struct Gathered {
    first: Bytes,
    /// Everything, from the second piece on.
    all: BytesMut,
}

impl Gathered {
    pub(crate) fn len(&self) -> u64 {
        self.first.len().max(self.all.len()) as u64
    }

    pub(crate) fn push(&mut self, data: Bytes) {
        if self.first.is_empty() {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&data);
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        if self.all.is_empty() {
            self.first
        } else {
            self.all.freeze()
        }
    }
}

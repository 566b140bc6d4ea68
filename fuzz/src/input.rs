//! Bytes of a fuzzer, read from the front. After the end everything is zero or empty.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// A reader of fuzzed bytes.
#[derive(Clone, Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Reads these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// A length and as many bytes, or what is left.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }

    /// A body: a piece, many times.
    pub fn body(&mut self) -> Bytes {
        let times = match self.byte() {
            few @ 0..=249 => usize::from(few % 4),
            many => usize::from(many - 249) * 1024,
        };
        self.piece().repeat(times).into()
    }

    /// Fields that hyper would let through.
    pub fn fields(&mut self) -> HeaderMap {
        let count = self.byte() % 8;
        let mut fields = HeaderMap::new();
        for _ in 0..count {
            let name = HeaderName::from_bytes(self.piece());
            let value = HeaderValue::from_bytes(self.piece());
            if let (Ok(name), Ok(value)) = (name, value) {
                fields.append(name, value);
            }
        }
        fields
    }

    /// What is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}

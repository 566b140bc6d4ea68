//! Decompression that stops at a limit: of bytes out, and of bytes out for each byte in.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use crate::Limits;

/// Output below this may have any ratio: a few zeros compress a thousandfold and harm nobody.
const FREE_OUTPUT: u64 = 1 << 20;

/// A reader that fails when more comes out than allowed.
pub(super) struct Bounded<R, F> {
    inner: R,
    produced: u64,
    limit: u64,
    ratio: u64,
    /// How much input was used, if there is compression.
    consumed: F,
}

impl<R: Read, F: Fn(&R) -> Option<u64>> Bounded<R, F> {
    pub(super) fn new(inner: R, limits: &Limits, consumed: F) -> Self {
        Self {
            inner,
            produced: 0,
            limit: limits.archive_bytes,
            ratio: limits.compression_ratio,
            consumed,
        }
    }
}

impl<R: Read, F: Fn(&R) -> Option<u64>> Read for Bounded<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.produced = self.produced.saturating_add(count as u64);
        if self.produced > self.limit {
            return Err(io::Error::other(format!(
                "it unpacks to more than the limit of {} bytes",
                self.limit
            )));
        }
        if let Some(consumed) = (self.consumed)(&self.inner)
            && self.produced > FREE_OUTPUT.saturating_add(consumed.saturating_mul(self.ratio))
        {
            return Err(io::Error::other(format!(
                "it unpacks to more than {} times its size, as a decompression bomb does",
                self.ratio
            )));
        }
        Ok(count)
    }
}

/// Decompresses all members of a gzip stream; builders write one for each file or each block.
pub(super) fn decoder<'a>(compressed: &'a [u8], limits: &Limits) -> impl Read + use<'a> {
    let consumed = Rc::new(Cell::new(0));
    let counted = Counted {
        inner: compressed,
        consumed: Rc::clone(&consumed),
    };
    Bounded::new(MultiGzDecoder::new(counted), limits, move |_| {
        Some(consumed.get())
    })
}

/// Counts what the decoder has taken.
struct Counted<'a> {
    inner: &'a [u8],
    consumed: Rc<Cell<u64>>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.consumed.set(self.consumed.get() + count as u64);
        Ok(count)
    }
}

impl io::BufRead for Counted<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.inner)
    }

    fn consume(&mut self, amount: usize) {
        self.inner = self.inner.get(amount..).unwrap_or_default();
        self.consumed.set(self.consumed.get() + amount as u64);
    }
}

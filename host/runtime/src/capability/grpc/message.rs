//! The framing of gRPC messages: a flag, a length, the bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Puts a message into its frame; `None` when no frame can hold it.
pub(super) fn encode(message: &[u8]) -> Option<Bytes> {
    let length = u32::try_from(message.len()).ok()?;
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    frame.put_u32(length);
    frame.put_slice(message);
    Some(frame.freeze())
}

/// Takes messages out of the pieces of a body.
#[derive(Debug)]
pub(in crate::capability) struct Decoder {
    buffer: BytesMut,
    largest: u64,
}

/// Why a body holds no messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capability) enum Undecodable {
    /// Larger than allowed; said before it is there.
    TooLarge,
    /// Compressed although nobody offered that, or an unknown flag.
    Compressed,
}

impl Decoder {
    pub(in crate::capability) fn new(largest: u64) -> Self {
        Self {
            buffer: BytesMut::new(),
            largest,
        }
    }

    /// Adds a piece.
    pub(in crate::capability) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole message.
    pub(in crate::capability) fn next(&mut self) -> Result<Option<Vec<u8>>, Undecodable> {
        let mut prefix = self.buffer.as_ref();
        if prefix.len() < PREFIX {
            return Ok(None);
        }
        let (flag, length) = (prefix.get_u8(), prefix.get_u32());
        if flag != 0 {
            return Err(Undecodable::Compressed);
        }
        if u64::from(length) > self.largest {
            return Err(Undecodable::TooLarge);
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if prefix.len() < length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        Ok(Some(self.buffer.split_to(length).to_vec()))
    }

    /// True when no part of a message is left over.
    pub(in crate::capability) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// Flag and length.
const PREFIX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_whole_wherever_the_pieces_are_cut() {
        let body = [
            encode(b"first").unwrap(),
            encode(b"").unwrap(),
            encode(b"third").unwrap(),
        ]
        .concat();
        for size in 1..=body.len() {
            let (mut decoder, mut messages) = (Decoder::new(5), Vec::new());
            for piece in body.chunks(size) {
                decoder.push(piece);
                while let Some(message) = decoder.next().unwrap() {
                    messages.push(message);
                }
            }
            assert_eq!(messages, [&b"first"[..], b"", b"third"], "{size}");
            assert!(decoder.is_empty());
        }
    }

    #[test]
    fn a_message_too_large_is_refused_by_its_prefix() {
        let mut decoder = Decoder::new(5);
        decoder.push(&[0, 0, 0, 0, 6]);
        assert_eq!(decoder.next(), Err(Undecodable::TooLarge));
    }

    #[test]
    fn a_compressed_message_is_refused() {
        let mut decoder = Decoder::new(5);
        decoder.push(&[1, 0, 0, 0, 1, 0]);
        assert_eq!(decoder.next(), Err(Undecodable::Compressed));
    }
}

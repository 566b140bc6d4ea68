//! The chunked coding (RFC 9112 §7.1), read from a buffer that fills as bytes arrive.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::Malformed;

/// The longest chunk-size line, extensions included. They are read over, never passed on.
const MAX_SIZE_LINE: usize = 1024;

/// The largest trailer section.
const MAX_TRAILERS: usize = 16 << 10;

/// Where in a chunked body we are.
#[derive(Debug)]
pub(super) enum Decoder {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Done,
}

/// What the front of the buffer was.
#[derive(Debug)]
pub(super) enum Decoded {
    Data(Bytes),
    /// The end; empty without trailers.
    End(HeaderMap),
    /// Bytes are missing.
    More,
}

impl Decoder {
    /// Decodes the next piece and takes its bytes. After an error or the end it must not be asked again.
    pub(super) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, Malformed> {
        loop {
            match self {
                Self::Size => match line(buffer, MAX_SIZE_LINE).map_err(|()| Malformed::Chunk)? {
                    None => return Ok(Decoded::More),
                    Some(line) => match parse_size(&line)? {
                        0 => *self = Self::Trailers,
                        size => *self = Self::Data(size),
                    },
                },
                Self::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(Decoded::More);
                    }
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                    *left -= here as u64;
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(Decoded::Data(buffer.split_to(here).freeze()));
                }
                Self::DataEnd => {
                    if buffer.len() < 2 {
                        return Ok(Decoded::More);
                    }
                    if !buffer.starts_with(b"\r\n") {
                        return Err(Malformed::Chunk);
                    }
                    buffer.advance(2);
                    *self = Self::Size;
                }
                Self::Trailers => {
                    let trailers = trailers(buffer)?;
                    if trailers.is_some() {
                        *self = Self::Done;
                    }
                    return Ok(trailers.map_or(Decoded::More, Decoded::End));
                }
                Self::Done => return Ok(Decoded::End(HeaderMap::new())),
            }
        }
    }
}

/// Takes one line that ends in CRLF, without its end. An error when it is longer than `limit`.
fn line(buffer: &mut BytesMut, limit: usize) -> Result<Option<BytesMut>, ()> {
    match buffer.iter().take(limit).position(|b| *b == b'\n') {
        None if buffer.len() >= limit => Err(()),
        None => Ok(None),
        Some(end) => {
            let mut line = buffer.split_to(end + 1);
            // A bare line feed ends a line for some parsers and not for others.
            if !line.ends_with(b"\r\n") {
                return Err(());
            }
            line.truncate(end - 1);
            Ok(Some(line))
        }
    }
}

fn parse_size(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line
        .split(|b| *b == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii_end();
    if digits.is_empty() || digits.len() > 15 {
        return Err(Malformed::Chunk);
    }
    digits.iter().try_fold(0u64, |size, digit| {
        let value = char::from(*digit).to_digit(16).ok_or(Malformed::Chunk)?;
        Ok(size << 4 | u64::from(value))
    })
}

/// Takes the trailer section; `None` when bytes are missing.
fn trailers(buffer: &mut BytesMut) -> Result<Option<HeaderMap>, Malformed> {
    if buffer.starts_with(b"\r\n") {
        buffer.advance(2);
        return Ok(Some(HeaderMap::new()));
    }
    let mut storage = [httparse::EMPTY_HEADER; 32];
    match httparse::parse_headers(buffer, &mut storage) {
        Ok(httparse::Status::Complete((length, fields))) if length <= MAX_TRAILERS => {
            let mut trailers = HeaderMap::with_capacity(fields.len());
            for field in fields {
                let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed::Trailers)?;
                let value = HeaderValue::from_bytes(field.value).map_err(|_| Malformed::Trailers)?;
                trailers.append(name, value);
            }
            buffer.advance(length);
            Ok(Some(trailers))
        }
        Ok(httparse::Status::Partial) if buffer.len() < MAX_TRAILERS => Ok(None),
        Ok(_) | Err(_) => Err(Malformed::Trailers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `text` in pieces of `step` bytes; gives body, trailers and what is left over.
    fn decode(text: &[u8], step: usize) -> Result<(Vec<u8>, HeaderMap, usize), Malformed> {
        let (mut decoder, mut buffer, mut body) = (Decoder::Size, BytesMut::new(), Vec::new());
        let mut pieces = text.chunks(step);
        loop {
            match decoder.decode(&mut buffer)? {
                Decoded::Data(data) => body.extend_from_slice(&data),
                Decoded::End(trailers) => {
                    return Ok((body, trailers, buffer.len() + pieces.flatten().count()));
                }
                Decoded::More => buffer.extend_from_slice(pieces.next().expect("the body ends")),
            }
        }
    }

    #[test]
    fn it_does_not_matter_where_the_bytes_are_cut() {
        let text = b"5;name=value\r\nhello\r\n6 \r\n world\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\nnext";
        for step in 1..=text.len() {
            let (body, trailers, left) = decode(text, step).unwrap();
            assert_eq!(body, b"hello world", "{step}");
            assert_eq!(trailers.get_all("x-sum").iter().count(), 2);
            assert_eq!(left, 4, "the next message's bytes stay");
        }
    }

    #[test]
    fn what_parsers_could_read_differently_is_refused() {
        let check = |text: &str, expect: Malformed| {
            for step in [1, text.len()] {
                assert_eq!(decode(text.as_bytes(), step).unwrap_err(), expect, "{text:?}");
            }
        };
        check("5\nhello\r\n0\r\n\r\n", Malformed::Chunk);
        check("5\r\nhello!\r\n0\r\n\r\n", Malformed::Chunk);
        check("0x5\r\nhello\r\n0\r\n\r\n", Malformed::Chunk);
        check("+5\r\nhello\r\n0\r\n\r\n", Malformed::Chunk);
        check("\r\nhello\r\n0\r\n\r\n", Malformed::Chunk);
        check("ffffffffffffffff\r\nx", Malformed::Chunk);
        check(&format!("5;{}\r\n", "x".repeat(MAX_SIZE_LINE)), Malformed::Chunk);
        check("0\r\nbad field\r\n\r\n", Malformed::Trailers);
        check(
            &format!("0\r\nx: {}\r\n\r\n", "y".repeat(MAX_TRAILERS)),
            Malformed::Trailers,
        );
    }
}

//! A SHA-256 digest as OCI writes it, and the running hash of what is being received.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// The SHA-256 of some bytes; written `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// A text that is no digest Weir can check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a digest; write sha256: and 64 lower-case hexadecimal digits")]
pub struct NotADigest {
    text: String,
}

/// Hashes bytes as they arrive.
#[derive(Default)]
pub(crate) struct Hasher(Sha256);

impl Digest {
    /// Hashes bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digits alone, as file names and signature tags use them.
    #[must_use]
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a string cannot fail.
            let _written = write!(text, "{byte:02x}");
            text
        })
    }
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let parse = || {
            let digits = text.strip_prefix("sha256:")?.as_bytes();
            let mut bytes = [0; 32];
            let (pairs, rest) = digits.as_chunks::<2>();
            if pairs.len() != bytes.len() || !rest.is_empty() {
                return None;
            }
            for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
                *byte = (nibble(*high)? << 4) | nibble(*low)?;
            }
            Some(Self(bytes))
        };
        parse().ok_or_else(|| NotADigest {
            text: text.chars().take(100).collect(),
        })
    }
}

/// Only lower case: one digest has one spelling, so texts compare as values do.
const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_reads_back_as_it_is_written() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(Digest::of(b"")));
        let mut hasher = Hasher::default();
        hasher.update(b"");
        assert_eq!(hasher.finish(), Digest::of(b""));
    }

    #[test]
    fn other_algorithms_lengths_and_spellings_are_refused() {
        let digits = &EMPTY[7..];
        for text in [
            String::new(),
            "sha256:".into(),
            digits.into(),
            format!("sha512:{digits}{digits}"),
            format!("{EMPTY}0"),
            EMPTY[..EMPTY.len() - 1].into(),
            format!("sha256:{}", digits.to_uppercase()),
            format!("sha256:{}é", &digits[..62]),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}

//! Bytes as hexadecimal digits, for configurations and fields.

use std::fmt::Write as _;

/// The digits of `bytes`.
pub fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The bytes of `digits`.
///
/// # Errors
/// When they are no pairs of hexadecimal digits.
pub fn from_hex(digits: &str) -> Result<Vec<u8>, String> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(pair).collect();
    let plain = digits.len().is_multiple_of(2) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    bytes
        .filter(|_| plain)
        .ok_or_else(|| format!("{digits:?} is no hexadecimal text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_become_bytes_and_bytes_digits() {
        assert_eq!(from_hex("00ff0a"), Ok(vec![0, 255, 10]));
        assert_eq!(to_hex(&[0, 255, 10]), "00ff0a");
        assert_eq!(from_hex(""), Ok(Vec::new()));
        for text in ["0", "0g", "+1", "é"] {
            assert!(from_hex(text).is_err(), "{text}");
        }
    }
}

//! How a gRPC call ended, from trailers or from a response that is no gRPC at all.

use http::{HeaderMap, StatusCode};

use crate::bindings::grpc::Status;
use crate::capability::upstream::incoming;

/// The status in trailers, or in the head of a response without a body.
pub(in crate::capability) fn of_fields(fields: &HeaderMap) -> Option<Status> {
    let code = fields.get("grpc-status")?;
    let code = code.to_str().ok().and_then(|it| it.parse().ok());
    let message = fields
        .get("grpc-message")
        .map(|it| percent_decoded(it.as_bytes()))
        .unwrap_or_default();
    Some(Status {
        code: code.unwrap_or(UNKNOWN),
        message,
        trailers: incoming(fields),
    })
}

/// The status that a plain HTTP answer stands for, by the mapping of the gRPC specification.
pub(super) fn of_http(status: StatusCode) -> Status {
    let code = match status.as_u16() {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    };
    Status {
        code,
        message: format!("the backend answered with HTTP status {}", status.as_u16()),
        trailers: Vec::new(),
    }
}

/// The status of a stream that ended without one.
pub(super) fn missing() -> Status {
    Status {
        code: UNKNOWN,
        message: "the backend ended the stream without a status".to_owned(),
        trailers: Vec::new(),
    }
}

const UNKNOWN: u32 = 2;
const PERMISSION_DENIED: u32 = 7;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;

/// `grpc-message` is percent-encoded UTF-8; what is malformed stays as it is.
fn percent_decoded(text: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = hex
            .filter(|it| it.iter().all(u8::is_ascii_hexdigit))
            .and_then(|it| str::from_utf8(it).ok())
            .and_then(|it| u8::from_str_radix(it, 16).ok());
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() {
            after.get(2..).unwrap_or_default()
        } else {
            after
        };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_with_its_message() {
        let mut fields = HeaderMap::new();
        fields.insert("grpc-status", "7".parse().unwrap());
        fields.insert("grpc-message", "not%20you%21 50%".parse().unwrap());
        let status = of_fields(&fields).unwrap();
        assert_eq!((status.code, status.message.as_str()), (7, "not you! 50%"));
    }

    #[test]
    fn what_is_no_percent_encoding_stays() {
        for (text, expect) in [
            ("%", "%"),
            ("%4", "%4"),
            ("%+1", "%+1"),
            ("%zz%41", "%zzA"),
            ("%c3%a9", "\u{e9}"),
        ] {
            assert_eq!(percent_decoded(text.as_bytes()), expect);
        }
    }

    #[test]
    fn a_malformed_code_is_unknown_and_none_is_none() {
        let mut fields = HeaderMap::new();
        assert!(of_fields(&fields).is_none());
        fields.insert("grpc-status", "x".parse().unwrap());
        assert_eq!(of_fields(&fields).unwrap().code, UNKNOWN);
    }

    #[test]
    fn http_answers_stand_for_a_status() {
        assert_eq!(of_http(StatusCode::NOT_FOUND).code, UNIMPLEMENTED);
        assert_eq!(of_http(StatusCode::SERVICE_UNAVAILABLE).code, UNAVAILABLE);
    }
}

//! Response heads (RFC 9112 §4, §6.3): parsing, framing, and what may be passed on.
//!
//! Endpoints belong to tenants, so their framing is treated like a client's: anything ambiguous is refused.

use std::mem::MaybeUninit;

use bytes::BytesMut;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use super::Malformed;

/// The largest response head.
pub(super) const MAX_HEAD: usize = 64 << 10;

/// The most fields of a response head.
const MAX_FIELDS: usize = 128;

/// The most fields that `connection` may nominate: each is compared with each field.
const MAX_NOMINATIONS: usize = 16;

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
    Close,
}

/// What a head says about its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) framing: Framing,
    /// The connection may be used again after this message.
    pub(super) keep_alive: bool,
}

/// Parses a head from the front of `buffer` and takes its bytes; fields for the client go to `headers`.
/// `None` when bytes are missing. Interim (1xx) heads come back like any other, with their status.
pub(super) fn parse(
    buffer: &mut BytesMut,
    method: &Method,
    headers: &mut HeaderMap,
) -> Result<Option<Head>, Malformed> {
    let mut storage = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        buffer,
        &mut storage,
    );
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) if length > MAX_HEAD => return Err(Malformed::HeadTooLarge),
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if buffer.len() > MAX_HEAD => return Err(Malformed::HeadTooLarge),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Malformed::Head),
    };
    let status = response
        .code
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or(Malformed::Head)?;
    let minor = response.version.unwrap_or(0);
    let start = buffer.as_ptr() as usize;
    let mut facts = Facts::new(minor);
    let mut fields: smallvec::SmallVec<[Field; 16]> = smallvec::SmallVec::new();
    for field in response.headers.iter() {
        let kind = facts.note(field.name, field.value)?;
        if kind == Kind::Forward {
            let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed::Head)?;
            // The value is a part of `buffer`; a slice of the frozen head shares it without a copy.
            let from = (field.value.as_ptr() as usize).wrapping_sub(start);
            fields.push(Field {
                name,
                from,
                to: from.wrapping_add(field.value.len()),
            });
        }
    }
    let head = facts.conclude(status, method)?;
    let bytes = buffer.split_to(length).freeze();
    for Field { name, from, to } in fields {
        if !facts.nominations.contains(&name) {
            if from > to || to > bytes.len() {
                return Err(Malformed::Head);
            }
            let value = bytes.slice(from..to);
            headers.append(
                name,
                HeaderValue::from_maybe_shared(value).map_err(|_| Malformed::Head)?,
            );
        }
    }
    Ok(Some(head))
}

struct Field {
    name: HeaderName,
    from: usize,
    to: usize,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Forward,
    HopByHop,
}

/// What the fields say about framing and the connection.
struct Facts {
    minor: u8,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    /// Names that `connection` nominates, lower-case.
    nominations: Vec<HeaderName>,
}

impl Facts {
    const fn new(minor: u8) -> Self {
        Self {
            minor,
            length: None,
            chunked: false,
            close: false,
            keep_alive: false,
            nominations: Vec::new(),
        }
    }

    /// Matches names by length first: most fields are decided by one comparison of integers.
    fn note(&mut self, name: &str, value: &[u8]) -> Result<Kind, Malformed> {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        match name.len() {
            14 if is("content-length") => {
                if self.length.replace(parse_length(value)?).is_some() {
                    return Err(Malformed::ContentLength);
                }
                Ok(Kind::Forward)
            }
            17 if is("transfer-encoding") => {
                if self.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed::TransferEncoding);
                }
                self.chunked = true;
                Ok(Kind::HopByHop)
            }
            10 if is("connection") => {
                self.connection(value)?;
                Ok(Kind::HopByHop)
            }
            10 if is("keep-alive") => Ok(Kind::HopByHop),
            16 if is("proxy-connection") => Ok(Kind::HopByHop),
            7 if is("upgrade") => Ok(Kind::HopByHop),
            2 if is("te") => Ok(Kind::HopByHop),
            _ => Ok(Kind::Forward),
        }
    }

    fn connection(&mut self, value: &[u8]) -> Result<(), Malformed> {
        for option in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if let Ok(name) = HeaderName::from_bytes(option)
                && name != header::CONTENT_LENGTH
            {
                if self.nominations.len() == MAX_NOMINATIONS {
                    return Err(Malformed::Head);
                }
                self.nominations.push(name);
            }
        }
        Ok(())
    }

    fn conclude(&self, status: StatusCode, method: &Method) -> Result<Head, Malformed> {
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Malformed::Switched);
        }
        if self.chunked && (self.length.is_some() || self.minor == 0) {
            return Err(Malformed::TransferEncoding);
        }
        let bodiless = status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || *method == Method::HEAD;
        let framing = match self.length {
            _ if bodiless => Framing::None,
            _ if self.chunked => Framing::Chunked,
            Some(0) => Framing::None,
            Some(length) => Framing::Length(length),
            None => Framing::Close,
        };
        let persistent = if self.minor == 0 {
            self.keep_alive
        } else {
            !self.close
        };
        Ok(Head {
            status,
            framing,
            keep_alive: persistent && framing != Framing::Close,
        })
    }
}

/// Digits only: no sign, no list, nothing that two parsers could read differently.
fn parse_length(value: &[u8]) -> Result<u64, Malformed> {
    let value = value.trim_ascii();
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::ContentLength);
    }
    Ok(value
        .iter()
        .fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, method: &Method) -> Result<Option<(Head, HeaderMap, Vec<u8>)>, Malformed> {
        let mut buffer = BytesMut::from(text);
        let mut headers = HeaderMap::new();
        let head = parse(&mut buffer, method, &mut headers)?;
        Ok(head.map(|head| (head, headers, buffer.to_vec())))
    }

    #[test]
    fn framing_follows_rfc_9112_section_6_3() {
        let check = |fields: &str, expect: Result<(Framing, bool), Malformed>| {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\nrest");
            let got =
                parsed(&text, &Method::GET).map(|it| it.map(|(head, _, _)| (head.framing, head.keep_alive)));
            assert_eq!(got, expect.map(Some), "{fields:?}");
        };
        check("content-length: 5\r\n", Ok((Framing::Length(5), true)));
        check("Content-Length: 0\r\n", Ok((Framing::None, true)));
        check("Transfer-Encoding: Chunked\r\n", Ok((Framing::Chunked, true)));
        check("", Ok((Framing::Close, false)));
        check(
            "content-length: 5\r\nconnection: x, Close\r\n",
            Ok((Framing::Length(5), false)),
        );
        check(
            "content-length: 5\r\ncontent-length: 5\r\n",
            Err(Malformed::ContentLength),
        );
        for bad in ["+5", "5, 5", "-1", "0x5", "", "9999999999999999999"] {
            check(
                &format!("content-length: {bad}\r\n"),
                Err(Malformed::ContentLength),
            );
        }
        for bad in ["gzip, chunked", "identity", "chunked, chunked", "xchunked"] {
            check(
                &format!("transfer-encoding: {bad}\r\n"),
                Err(Malformed::TransferEncoding),
            );
        }
        check(
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            Err(Malformed::TransferEncoding),
        );
        check(
            "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
            Err(Malformed::TransferEncoding),
        );
    }

    #[test]
    fn responses_without_a_body_have_none_whatever_they_say() {
        for (status, method) in [(204, Method::GET), (304, Method::GET), (200, Method::HEAD)] {
            let text = format!("HTTP/1.1 {status} X\r\ncontent-length: 5\r\n\r\n");
            let (head, headers, _) = parsed(&text, &method).unwrap().unwrap();
            assert_eq!(
                (head.framing, head.keep_alive),
                (Framing::None, true),
                "{status} {method}"
            );
            assert_eq!(
                headers["content-length"], "5",
                "it describes the body that a GET would have"
            );
        }
    }

    #[test]
    fn an_old_server_keeps_the_connection_only_when_it_says_so() {
        let keep_alive = |text: &str| parsed(text, &Method::GET).unwrap().unwrap().0.keep_alive;
        assert!(!keep_alive("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n"));
        assert!(keep_alive(
            "HTTP/1.0 200 OK\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\n"
        ));
    }

    #[test]
    fn connection_fields_end_here_and_the_rest_of_the_buffer_stays() {
        let text = "HTTP/1.1 200 OK\r\nX-Keep: 1\r\nConnection: X-Drop\r\nX-Drop: 2\r\nKeep-Alive: 5\r\nSet-Cookie: a\r\nSet-Cookie: b\r\ncontent-length: 4\r\n\r\nbody";
        let (_, headers, rest) = parsed(text, &Method::GET).unwrap().unwrap();
        let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-keep", "set-cookie", "content-length"]);
        assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
        assert_eq!(rest, b"body");
    }

    #[test]
    fn a_head_may_arrive_byte_by_byte_but_not_without_end() {
        let text = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(
                parsed(&text[..end], &Method::GET).unwrap().map(|_| ()),
                None,
                "{end}"
            );
        }
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(MAX_HEAD));
        assert_eq!(
            parsed(&endless, &Method::GET).unwrap_err(),
            Malformed::HeadTooLarge
        );
        assert_eq!(
            parsed("SSH-2.0-OpenSSH\r\n\r\n", &Method::GET).unwrap_err(),
            Malformed::Head
        );
        assert_eq!(
            parsed("HTTP/1.1 101 X\r\n\r\n", &Method::GET).unwrap_err(),
            Malformed::Switched
        );
    }
}

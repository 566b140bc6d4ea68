//! The request and the response of the current exchange, and the trailers of both: thin names for the host's
//! functions.
//!
//! None of them holds anything. Every call reads or edits in the host, so ask once and keep the answer.

use crate::Field;
use crate::bindings::weir::policy::{
    request as req, request_trailers as req_trailers, response as res, response_trailers as res_trailers,
};

/// The request. Readable in every phase; edits after it was sent to the upstream are ignored.
#[derive(Debug)]
#[non_exhaustive]
pub struct Request {}

/// The response. Empty until a head arrived or a reply was made; edits after the head was sent are ignored.
#[derive(Debug)]
#[non_exhaustive]
pub struct Response {}

/// The trailer fields of the request. Empty before its trailers phase; edits after that phase are ignored.
#[derive(Debug)]
#[non_exhaustive]
pub struct RequestTrailers {}

/// The trailer fields of the response, in the same way.
#[derive(Debug)]
#[non_exhaustive]
pub struct ResponseTrailers {}

impl Request {
    pub(crate) const fn current() -> Self {
        Self {}
    }

    /// The method.
    pub fn method(&self) -> String {
        req::method()
    }

    /// Sets the method.
    pub fn set_method(&mut self, method: &str) {
        req::set_method(method);
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> String {
        req::scheme()
    }

    /// The host (and port) the client asked for.
    pub fn authority(&self) -> String {
        req::authority()
    }

    /// Sets the host (and port).
    pub fn set_authority(&mut self, authority: &str) {
        req::set_authority(authority);
    }

    /// The path with its query, as sent.
    pub fn path(&self) -> String {
        req::path()
    }

    /// Sets the path with its query.
    pub fn set_path(&mut self, path: &str) {
        req::set_path(path);
    }

    /// True when the path without its query starts with `prefix`, byte for byte. Cheaper than [`Self::path`].
    pub fn path_starts_with(&self, prefix: &str) -> bool {
        req::path_starts_with(prefix)
    }
}

impl Response {
    pub(crate) const fn current() -> Self {
        Self {}
    }

    /// The status; 0 while there is no response.
    pub fn status(&self) -> u16 {
        res::status()
    }

    /// Sets the status.
    pub fn set_status(&mut self, status: u16) {
        res::set_status(status);
    }
}

impl RequestTrailers {
    pub(crate) const fn current() -> Self {
        Self {}
    }
}

impl ResponseTrailers {
    pub(crate) const fn current() -> Self {
        Self {}
    }
}

macro_rules! fields {
    ($message:ty, $host:ident) => {
        /// Its fields. Names are lower-case; values are bytes.
        impl $message {
            /// The value of a header; several fields of one name are joined by `, `.
            pub fn header(&self, name: &str) -> Option<Vec<u8>> {
                $host::header(name)
            }

            /// Like `header`, as text: bytes that are not UTF-8 become `U+FFFD`.
            pub fn header_text(&self, name: &str) -> Option<String> {
                self.header(name).map(crate::exchange::text)
            }

            /// Every field of that name, in order.
            pub fn header_values(&self, name: &str) -> Vec<Vec<u8>> {
                $host::header_values(name)
            }

            /// Whether there is a field of that name.
            pub fn has_header(&self, name: &str) -> bool {
                $host::has_header(name)
            }

            /// True when the first field of that name is exactly `value`. Cheaper than `header`.
            pub fn header_is(&self, name: &str, value: &str) -> bool {
                $host::header_is(name, value)
            }

            /// All fields, in one call to the host.
            pub fn headers(&self) -> Vec<Field> {
                fields(&$host::headers_block())
            }

            /// Replaces every field of that name.
            pub fn set_header(&mut self, name: &str, value: impl AsRef<[u8]>) {
                $host::set_header(name, value.as_ref());
            }

            /// Adds a field beside those of that name.
            pub fn append_header(&mut self, name: &str, value: impl AsRef<[u8]>) {
                $host::append_header(name, value.as_ref());
            }

            /// Removes every field of that name.
            pub fn remove_header(&mut self, name: &str) {
                $host::remove_header(name);
            }

            /// Replaces several fields, in one call to the host.
            pub fn set_headers(&mut self, fields: &[Field]) {
                $host::set_headers(fields);
            }
        }
    };
}

fields!(Request, req);
fields!(Response, res);
fields!(RequestTrailers, req_trailers);
fields!(ResponseTrailers, res_trailers);

/// Reads a block of fields: u16 name length, u32 value length, name, value.
fn fields(mut block: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    while let Some(field) = next_field(&mut block) {
        fields.push(field);
    }
    fields
}

fn next_field(block: &mut &[u8]) -> Option<Field> {
    let (name_len, rest) = block.split_first_chunk::<2>()?;
    let (value_len, rest) = rest.split_first_chunk::<4>()?;
    let (name, rest) = rest.split_at_checked(u16::from_le_bytes(*name_len).into())?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*value_len)).ok()?)?;
    *block = rest;
    Some(Field {
        name: String::from_utf8_lossy(name).into_owned(),
        value: value.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_fields_is_read_to_its_end_and_never_beyond() {
        let check = |block: &[u8], expect: &[(&str, &[u8])]| {
            let got = fields(block);
            let got: Vec<_> = got
                .iter()
                .map(|f| (f.name.as_str(), f.value.as_slice()))
                .collect();
            assert_eq!(got, expect, "{block:?}");
        };
        check(b"", &[]);
        check(b"\x01\0\x02\0\0\0abc\x01\0\0\0\0\0d", &[("a", b"bc"), ("d", b"")]);
        check(b"\x01\0\xff\xff\xff\xffabc", &[]);
        check(b"\x01\0\x01\0\0\0a\xfe\x01", &[("a", b"\xfe")]);
    }
}

//! Calls to backends that the filter was granted by name. Capability `upstream`.

use std::borrow::Borrow;
use std::time::Duration;

use super::{field, timeout};
use crate::bindings::weir::policy::upstream as host;

pub use crate::bindings::weir::policy::upstream::{Answer, Call, Error};

/// Makes the call and waits for its whole answer; the gateway serves others meanwhile.
///
/// ```no_run
/// use std::time::Duration;
/// use weir_sdk::upstream::{self, Call};
///
/// # fn check() -> Result<bool, upstream::Error> {
/// let call = Call::get("/check?user=7")
///     .header("accept", "application/json")
///     .timeout(Duration::from_millis(200));
/// let answer = upstream::fetch("auth", call)?;
/// Ok(answer.status == 200)
/// # }
/// ```
///
/// # Errors
/// When no answer came: see [`Error`]. An answer with a status of 400 or more is an answer.
pub fn fetch(backend: &str, call: impl Borrow<Call>) -> Result<Answer, Error> {
    host::fetch(backend, call.borrow())
}

impl Call {
    /// A call without fields or body. `path` is the path and query.
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            path: path.into(),
            authority: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout_ms: 0,
            max_response: 0,
        }
    }

    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// A POST of those bytes.
    pub fn post(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", path).body(body)
    }

    /// Adds a field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(field(name, value.as_ref()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The host the endpoint sees, when it is not the backend's own name.
    #[must_use]
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = authority.into();
        self
    }

    /// How long the call may take, rounded up to milliseconds. Without it, the rest of this phase's wall time,
    /// which is also the most.
    #[must_use]
    pub fn timeout(mut self, duration: Duration) -> Self {
        self.timeout_ms = timeout(duration);
        self
    }

    /// The largest body of the answer, in bytes. Without it, the filter's own limit, which is also the largest.
    #[must_use]
    pub const fn max_response(mut self, bytes: u32) -> Self {
        self.max_response = bytes;
        self
    }
}

impl Answer {
    /// The first header field of that lower-case name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let found = self.headers.iter().find(|field| field.name == name);
        found.map(|field| field.value.as_slice())
    }

    /// Whether the status is 2xx.
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_says_what_its_builder_was_told() {
        let call = Call::post("/a?b", "body")
            .header("x-a", "1")
            .header("x-a", b"\xff")
            .authority("a.example")
            .timeout(Duration::from_millis(250))
            .max_response(10);
        assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/a?b"));
        assert_eq!(
            (call.authority.as_str(), call.body.as_slice()),
            ("a.example", b"body".as_slice())
        );
        assert_eq!((call.timeout_ms, call.max_response), (250, 10));
        assert_eq!(call.headers, [field("x-a", b"1"), field("x-a", b"\xff")]);
        assert_eq!(Call::get("/").timeout_ms, 0);
    }

    #[test]
    fn an_answer_is_a_success_by_its_status_alone() {
        let answer = |status| Answer {
            status,
            headers: vec![field("x-a", b"1"), field("x-a", b"2")],
            body: Vec::new(),
            trailers: Vec::new(),
        };
        let check = |status, expect| assert_eq!(answer(status).is_success(), expect, "{status}");
        check(199, false);
        check(204, true);
        check(300, false);
        assert_eq!(answer(200).header("x-a"), Some(b"1".as_slice()));
        assert_eq!(answer(200).header("x-b"), None);
    }
}

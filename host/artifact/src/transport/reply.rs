//! An answer: its head, and its body as it streams in, up to a limit and never waited for without end.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use super::shown;
use crate::FetchError;
use crate::error::chain;

/// What is read of an error's body, to find its code.
const MAX_ERROR: u64 = 16 << 10;

/// A longer code is no code.
const MAX_CODE: usize = 40;

/// The head of an answer, with its body still to come. Dropping it ends the exchange.
#[derive(Debug)]
pub(crate) struct Reply {
    url: Url,
    response: Response<Incoming>,
    idle: Duration,
}

impl Reply {
    pub(super) const fn new(url: Url, response: Response<Incoming>, idle: Duration) -> Self {
        Self { url, response, idle }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// A header's value, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// All values of a header that are text.
    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.response.headers().get_all(name).into_iter();
        values.filter_map(|value| value.to_str().ok())
    }

    pub(super) fn is_redirect(&self) -> bool {
        matches!(self.status().as_u16(), 301 | 302 | 303 | 307 | 308)
    }

    /// Passes a success on; anything else becomes an error.
    pub(crate) async fn success(self) -> Result<Self, FetchError> {
        if self.status().is_success() {
            return Ok(self);
        }
        Err(self.into_error().await)
    }

    /// The error that this answer is.
    pub(crate) async fn into_error(self) -> FetchError {
        let url = shown(&self.url);
        let status = self.status().as_u16();
        let retry_after = self.header(RETRY_AFTER.as_str()).and_then(parse_retry_after);
        // The status alone says enough when the body breaks or is too long.
        let body = self.collect("an error", MAX_ERROR).await.unwrap_or_default();
        FetchError::Status {
            url,
            status,
            code: code(&body),
            retry_after,
        }
    }

    /// Reads the whole body, and fails as soon as it is known to exceed the limit.
    pub(crate) async fn collect(mut self, what: &str, limit: u64) -> Result<Bytes, FetchError> {
        self.check_length(what, limit)?;
        let mut whole = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if whole.len().saturating_add(piece.len()) as u64 > limit {
                return Err(too_large(what, limit));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    fn check_length(&self, what: &str, limit: u64) -> Result<(), FetchError> {
        let length = self
            .header(CONTENT_LENGTH.as_str())
            .and_then(|length| length.parse::<u64>().ok());
        if length.is_some_and(|length| length > limit) {
            return Err(too_large(what, limit));
        }
        Ok(())
    }

    /// The next piece of the body; `None` at its end.
    async fn piece(&mut self) -> Result<Option<Bytes>, FetchError> {
        loop {
            let frame = timeout(self.idle, self.response.body_mut().frame()).await;
            let frame = frame.map_err(|_| FetchError::Timeout {
                what: format!("the next bytes of {}", shown(&self.url)),
                after: self.idle,
            })?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| FetchError::Connection {
                url: shown(&self.url),
                problem: chain(&error),
            })?;
            // Trailers mean nothing here.
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
    }
}

fn too_large(what: &str, limit: u64) -> FetchError {
    FetchError::TooLarge {
        what: what.to_owned(),
        limit,
    }
}

/// Seconds; or a date, which is left to the back-off because clocks differ.
fn parse_retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

/// The first code of the OCI error list. Nothing else of a body is ever shown.
fn code(body: &[u8]) -> Option<String> {
    let errors: Errors = serde_json::from_slice(body).ok()?;
    let code = errors.errors.into_iter().next()?.code;
    let is_code = !code.is_empty()
        && code.len() <= MAX_CODE
        && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_code_of_the_specification_is_taken_from_an_error() {
        let check = |body: &str, expect: Option<&str>| {
            assert_eq!(code(body.as_bytes()).as_deref(), expect, "{body}");
        };
        check(
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"secret"}]}"#,
            Some("MANIFEST_UNKNOWN"),
        );
        check(r#"{"errors":[{"code":"root:x:0:0"}]}"#, None);
        check(r#"{"errors":[]}"#, None);
        check("secret", None);
        check("", None);
    }

    #[test]
    fn a_server_may_ask_for_seconds_of_rest() {
        assert_eq!(parse_retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after("Fri, 31 Dec 1999 23:59:59 GMT"), None);
        assert_eq!(parse_retry_after("-1"), None);
    }
}

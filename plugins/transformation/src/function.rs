//! The functions that templates can call.

use std::cell::RefCell;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use minijinja::{Environment, Error, ErrorKind, Value};

use crate::source::Source;

/// What the functions of one rendering see.
pub(crate) struct Frame {
    pub(crate) source: Rc<dyn Source>,
    /// The body, for `body()`; empty where it was not read.
    pub(crate) body: String,
    /// The root of the JSON body, for `context()`.
    pub(crate) context: Value,
}

thread_local! {
    // The template engine wants functions without lifetimes; so they find their frame here.
    static FRAME: RefCell<Option<Rc<Frame>>> = const { RefCell::new(None) };
}

/// Runs `render` with functions that see `frame`.
pub(crate) fn with_frame<T>(frame: &Rc<Frame>, render: impl FnOnce() -> T) -> T {
    let outer = FRAME.replace(Some(Rc::clone(frame)));
    let result = render();
    FRAME.set(outer);
    result
}

/// Adds the functions to an environment.
pub(crate) fn register(environment: &mut Environment<'_>) {
    environment.add_function("header", |name: &str| {
        frame(|frame| text(frame.source.header(&name.to_ascii_lowercase())))
    });
    environment.add_function("request_header", |name: &str| {
        frame(|frame| text(frame.source.request_header(&name.to_ascii_lowercase())))
    });
    environment.add_function("get_cookie", |name: &str| cookie(|other| other == name));
    environment.add_function("get_cookie_i", |name: &str| {
        cookie(|other| other.eq_ignore_ascii_case(name))
    });
    environment.add_function("body", || frame(|frame| frame.body.clone()));
    environment.add_function("context", || frame(|frame| frame.context.clone()));
    environment.add_function("env", |name: &str| {
        frame(|frame| frame.source.environment(name).unwrap_or_default())
    });
    environment.add_function("base64_encode", |value: &str| STANDARD.encode(value));
    environment.add_function("base64_decode", |value: &str| decoded(STANDARD.decode(value)));
    environment.add_function("base64url_encode", |value: &str| URL_SAFE.encode(value));
    environment.add_function("base64url_decode", |value: &str| decoded(URL_SAFE.decode(value)));
    environment.add_function("substring", substring);
    environment.add_function("raw_string", raw_string);
    environment.add_function("replace_with_string", |value: &str, old: &str, new: &str| {
        value.replace(old, new)
    });
    environment.add_function("replace_with_random", |value: &str, old: &str| {
        frame(|frame| {
            let bits = [frame.source.random(), frame.source.random()].map(u64::to_le_bytes);
            value.replace(old, &STANDARD_NO_PAD.encode(bits.as_flattened()))
        })
    });
}

fn frame<T>(ask: impl FnOnce(&Frame) -> T) -> Result<T, Error> {
    let frame = FRAME.with_borrow(Clone::clone);
    frame
        .map(|frame| ask(&frame))
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "no exchange to ask"))
}

fn text(value: Option<Vec<u8>>) -> String {
    value
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

fn cookie(is: impl Fn(&str) -> bool) -> Result<String, Error> {
    frame(|frame| {
        let cookies = text(frame.source.request_header("cookie"));
        // Fields of one name come joined by commas, which RFC 6265 keeps out of cookie values.
        let mut pairs = cookies
            .split([';', ','])
            .filter_map(|pair| pair.trim().split_once('='));
        pairs
            .find(|(name, _)| is(name))
            .map(|(_, value)| value.to_owned())
            .unwrap_or_default()
    })
}

fn decoded(bytes: Result<Vec<u8>, base64::DecodeError>) -> String {
    bytes
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default()
}

/// Counts bytes. A cut through a character leaves `U+FFFD` where its part was.
fn substring(value: &str, start: usize, len: Option<usize>) -> String {
    let tail = value.as_bytes().get(start..).unwrap_or_default();
    let part = len.and_then(|len| tail.get(..len)).unwrap_or(tail);
    String::from_utf8_lossy(part).into_owned()
}

/// The text as it stands between the quotes of a JSON string.
fn raw_string(value: &str) -> Result<String, Error> {
    let quoted = serde_json::to_string(value)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))?;
    Ok(quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or_default()
        .to_owned())
}

//! `check.txt`: requests and the answers they must get, beside the example they belong to.
//!
//! ```text
//! # Any text: says what the next request shows; its block ends at an empty line.
//! METHOD /path [name: value] [name: value]   a request; each [name: value] is a header
//! status N                                   the status is N
//! header name: value                         the header has that value
//! no-header name                             the header is absent
//! body contains TEXT                         the body contains TEXT, to the end of the line
//! body is TEXT                               the body is TEXT
//! times N                                    the request is sent N times; every answer must fit
//! share P% ±T TEXT                           of the N answers, P percent, give or take T points, contain TEXT
//! ```

mod parse;
mod replay;

use crate::client::Request;

pub(crate) use parse::parse;
pub(crate) use replay::replay;

/// One request and what must come back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// What the request shows.
    pub(crate) title: String,
    /// What is sent.
    pub(crate) request: Request,
    /// How often it is sent.
    pub(crate) times: usize,
    /// What must come back.
    pub(crate) expect: Vec<Expect>,
}

/// One thing that must be true of the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    Status(u16),
    Header(String, String),
    NoHeader(String),
    BodyContains(String),
    BodyIs(String),
    /// In percent: how many of the answers contain the text, and how far off they may be.
    Share {
        percent: usize,
        tolerance: usize,
        text: String,
    },
}

//! The configuration of access-log.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Where records go and how they look.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The position of a sink is its position in the filter's grant.
    pub(crate) sinks: Vec<Sink>,
}

/// One output.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sink {
    /// For people and for errors; what counts is the grant.
    pub(crate) path: String,
    pub(crate) format: Format,
}

/// The form of a record. Its strings are format strings of command operators.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Format {
    /// One JSON object on a line.
    Json(Map<String, Value>),
    /// Text; it ends as the format ends.
    Text(String),
}

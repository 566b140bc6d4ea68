//! `DirectResponse`: an answer without a backend.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::Resource;

/// A fixed answer; rules name it in an ExtensionRef filter.
pub type DirectResponse = Resource<DirectResponseSpec>;

/// The answer.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DirectResponseSpec {
    /// The status.
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// The body.
    #[serde(default)]
    #[schemars(length(min = 1, max = 4096))]
    pub body: Option<String>,
    /// The body as a format string; excludes `body`.
    #[serde(default)]
    pub body_format: Option<Value>,
}

//! The configuration of transformation, field by field as kgateway's `TrafficPolicy` writes it.

use serde::Deserialize;

/// What to do with requests and with responses.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) request: Option<Transform>,
    pub(crate) response: Option<Transform>,
}

/// What to do with one message.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Transform {
    pub(crate) set: Vec<Header>,
    pub(crate) add: Vec<Header>,
    pub(crate) remove: Vec<String>,
    pub(crate) body: Option<Body>,
    pub(crate) dynamic_metadata: Vec<Metadata>,
}

/// A header and the template of its value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) value: String,
}

/// How the body is read, and the template of the new one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Body {
    #[serde(default)]
    pub(crate) parse_as: ParseAs,
    pub(crate) value: Option<String>,
}

/// What templates see of the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum ParseAs {
    /// `body()`.
    #[default]
    AsString,
    /// `body()`, `context()`, and the fields of the root object as variables.
    AsJson,
    /// Nothing.
    None,
}

/// A value for later filters and access logs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    pub(crate) namespace: String,
    pub(crate) key: String,
    pub(crate) value: MetadataValue,
}

/// The template of a value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct MetadataValue {
    pub(crate) string_value: String,
}

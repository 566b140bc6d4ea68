//! `TrafficPolicy.spec.transformation`: templates for headers and bodies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The transformations of both directions. Serialised, it is the configuration of the transformation
/// plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Transformation {
    /// Of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Transform>,
    /// Of responses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Transform>,
}

/// The transformation of one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Transform {
    /// Headers that replace those of their name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub set: Vec<HeaderTemplate>,
    /// Headers that are added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub add: Vec<HeaderTemplate>,
    /// Headers that are taken away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub remove: Vec<String>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyTransform>,
    /// Values for other filters and logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub dynamic_metadata: Vec<DynamicMetadata>,
}

impl Transform {
    /// Every template in it.
    pub fn templates(&self) -> impl Iterator<Item = &str> {
        let headers = self
            .set
            .iter()
            .chain(&self.add)
            .filter_map(|it| it.value.as_deref());
        let body = self.body.iter().filter_map(|it| it.value.as_deref());
        headers.chain(body).chain(
            self.dynamic_metadata
                .iter()
                .map(|it| it.value.string_value.as_str()),
        )
    }
}

/// A header and the template of its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HeaderTemplate {
    /// The name; `:path`, `:method`, `:authority` and `:status` are headers here.
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = r"^:?[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$")
    )]
    pub name: String,
    /// The template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// The template of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BodyTransform {
    /// What the template sees of the body.
    #[serde(default)]
    pub parse_as: BodyParse,
    /// The template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// What a template sees of the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum BodyParse {
    #[default]
    AsString,
    AsJson,
    None,
}

/// A value under a namespace and key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
pub struct DynamicMetadata {
    #[schemars(length(min = 1, max = 256))]
    pub namespace: String,
    #[schemars(length(min = 1, max = 256))]
    pub key: String,
    pub value: MetadataValue,
}

/// The template of a metadata value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
pub struct MetadataValue {
    #[schemars(length(min = 1))]
    pub string_value: String,
}

//! `v1 Namespace`: read for its labels.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::ObjectMeta;

/// The label that every namespace has, whether its manifest says so or not.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// A namespace.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Namespace {
    /// `v1`.
    pub api_version: String,
    /// `Namespace`.
    pub kind: String,
    /// Its labels are what selectors look at.
    pub metadata: ObjectMeta,
    /// Finalizers; not read.
    #[serde(default)]
    pub spec: Option<Value>,
    /// Not read.
    #[serde(default)]
    pub status: Option<Value>,
}

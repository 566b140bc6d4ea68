//! What all objects share: the envelope and its metadata.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// The usual envelope: version, kind, metadata, spec and status.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Resource<S> {
    /// Group and version.
    pub api_version: String,
    /// The kind's name.
    pub kind: String,
    /// Name, labels and so on.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: S,
    /// What controllers wrote; not read.
    #[serde(default)]
    pub status: Option<Value>,
}

/// The metadata of an object. Lenient: the API server owns this part, and Weir reads little of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectMeta {
    /// Unique among the objects of one kind and namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Absent for cluster-scoped kinds.
    #[serde(default)]
    pub namespace: Option<String>,
    /// What selectors look at.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Everything else that people and tools attach.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Counts changes of the spec.
    #[serde(default)]
    pub generation: Option<i64>,
    /// RFC 3339, in UTC with whole seconds, so that text order is time order.
    #[serde(default)]
    pub creation_timestamp: Option<String>,
}

impl ObjectMeta {
    /// The namespace, or the empty text for what has none.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    /// The generation; an object that no API server has counted is in its first.
    pub fn generation(&self) -> i64 {
        self.generation.unwrap_or(1)
    }

    /// `namespace/name`, or `name` for what has no namespace.
    pub fn path(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }
}

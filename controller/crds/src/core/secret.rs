//! `v1 Secret`: read for registry credentials and public keys that Plugins name.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::ObjectMeta;

/// The type of Secrets with registry credentials.
pub const DOCKER_CONFIG_TYPE: &str = "kubernetes.io/dockerconfigjson";

/// The key of registry credentials in a Secret of that type.
pub const DOCKER_CONFIG_KEY: &str = ".dockerconfigjson";

/// A secret. Its `Debug` shows keys and never values.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Secret {
    /// `v1`.
    pub api_version: String,
    /// `Secret`.
    pub kind: String,
    /// Its name is what references say.
    pub metadata: ObjectMeta,
    /// What it is for; `Opaque` when absent.
    #[serde(default, rename = "type")]
    pub type_: Option<String>,
    /// Values in base64.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
    /// Values as they are; they win over `data`.
    #[serde(default)]
    pub string_data: BTreeMap<String, String>,
    /// Whether it may change; not read.
    #[serde(default)]
    pub immutable: Option<bool>,
    /// Secrets have none; not read.
    #[serde(default)]
    pub status: Option<Value>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.data.keys().chain(self.string_data.keys()).collect();
        // Annotations may repeat the data: `kubectl apply` keeps what it last applied in one.
        f.debug_struct("Secret")
            .field("path", &self.metadata.path())
            .field("type", &self.type_)
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_reach_the_log() {
        let secret: Secret = serde_json::from_value(serde_json::json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "s", "annotations": {"last-applied": "aHVudGVyMg=="}},
            "data": {"a": "aHVudGVyMg=="}, "stringData": {"b": "hunter2"}
        }))
        .unwrap();
        let text = format!("{secret:?}");
        assert!(text.contains("\"a\", \"b\""), "{text}");
        assert!(
            !text.contains("hunter2") && !text.contains("aHVudGVyMg"),
            "{text}"
        );
    }
}

//! Backends that a plugin's callouts may go to.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::gateway_api::BackendObjectReference;

/// A backend granted to a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GrantedBackend {
    /// As the plugin calls it; unique.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// What it stands for: a Service, or a kgateway Backend. Another namespace must allow it by a
    /// ReferenceGrant.
    pub backend_ref: BackendObjectReference,
}

/// A backend of one use of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UsedBackend {
    /// A name granted on the Plugin; unique.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// What it stands for here; as on the Plugin when absent.
    #[serde(default)]
    pub backend_ref: Option<BackendObjectReference>,
}

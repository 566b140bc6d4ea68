//! What a policy is attached to. Weir's own policies attach the same way.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Names one target in the policy's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TargetReference {
    /// The API group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The listener of a Gateway or the rule of a route.
    #[serde(default)]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

/// Selects targets in the policy's namespace by label.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TargetSelector {
    /// The API group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// Labels with exactly these values.
    pub match_labels: BTreeMap<String, String>,
    /// The listener of a Gateway or the rule of a route.
    #[serde(default)]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

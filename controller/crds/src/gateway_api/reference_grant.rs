//! `ReferenceGrant`: lets objects of other namespaces refer to objects of this one.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::Resource;

/// A grant; lives in the namespace that is referred to.
pub type ReferenceGrant = Resource<ReferenceGrantSpec>;

/// Who may refer to what.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ReferenceGrantSpec {
    /// Who.
    #[schemars(length(min = 1, max = 16))]
    pub from: Vec<ReferenceGrantFrom>,
    /// What.
    #[schemars(length(min = 1, max = 16))]
    pub to: Vec<ReferenceGrantTo>,
}

/// Who may refer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "a Kubernetes reference; the fields say it")]
pub struct ReferenceGrantFrom {
    pub group: String,
    pub kind: String,
    pub namespace: String,
}

/// What may be referred to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ReferenceGrantTo {
    /// The API group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The name; all when absent.
    #[serde(default)]
    pub name: Option<String>,
}

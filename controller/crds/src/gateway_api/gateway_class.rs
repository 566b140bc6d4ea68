//! `GatewayClass`: which controller serves the Gateways that name it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::Resource;

/// A class of Gateways.
pub type GatewayClass = Resource<GatewayClassSpec>;

/// What a class says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GatewayClassSpec {
    /// The controller, as `domain/path`.
    #[schemars(length(min = 1, max = 253))]
    pub controller_name: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Settings of the controller.
    #[serde(default)]
    pub parameters_ref: Option<ClassParametersReference>,
}

/// Names the object that holds a class's settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "a Kubernetes reference; the fields say it")]
pub struct ClassParametersReference {
    pub group: String,
    pub kind: String,
    pub name: String,
    #[serde(default)]
    pub namespace: Option<String>,
}

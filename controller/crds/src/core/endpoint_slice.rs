//! `discovery.k8s.io/v1 EndpointSlice`: the addresses behind a Service.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Protocol;
use crate::ObjectMeta;

/// The API group.
pub const DISCOVERY_GROUP: &str = "discovery.k8s.io";

/// The label that names the Service of a slice.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// A part of the endpoints of a Service.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EndpointSlice {
    /// `discovery.k8s.io/v1`.
    pub api_version: String,
    /// `EndpointSlice`.
    pub kind: String,
    /// Its label `kubernetes.io/service-name` names the Service.
    pub metadata: ObjectMeta,
    /// What the addresses are.
    pub address_type: AddressType,
    /// The endpoints.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// The ports that every endpoint has.
    #[serde(default)]
    pub ports: Vec<EndpointPort>,
}

/// What the addresses of a slice are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "each is the kind of address of that name")]
pub enum AddressType {
    IPv4,
    IPv6,
    #[serde(rename = "FQDN")]
    Fqdn,
}

/// One backend instance.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the fields are those of the discovery API; Weir reads addresses and conditions"
)]
pub struct Endpoint {
    #[schemars(length(min = 1))]
    pub addresses: Vec<String>,
    #[serde(default)]
    pub conditions: EndpointConditions,
    #[serde(default)]
    pub hostname: Option<String>,
    #[serde(default)]
    pub target_ref: Option<Value>,
    #[serde(default)]
    pub deprecated_topology: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub node_name: Option<String>,
    #[serde(default)]
    pub zone: Option<String>,
    #[serde(default)]
    pub hints: Option<Value>,
}

/// The state of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EndpointConditions {
    /// Takes traffic. Absent counts as true.
    #[serde(default)]
    pub ready: Option<bool>,
    /// Would serve, even while terminating.
    #[serde(default)]
    pub serving: Option<bool>,
    /// Is going away.
    #[serde(default)]
    pub terminating: Option<bool>,
}

/// One port of a slice.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EndpointPort {
    /// The name of the Service's port; absent or empty when that has none.
    #[serde(default)]
    pub name: Option<String>,
    /// The number; absent stands for the target port of the Service.
    #[serde(default)]
    pub port: Option<u16>,
    /// The transport.
    #[serde(default)]
    pub protocol: Protocol,
    /// What is spoken on it.
    #[serde(default)]
    pub app_protocol: Option<String>,
}

//! `Gateway`: where traffic is accepted, and which routes may attach.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::LabelSelector;
use crate::Resource;

/// A gateway.
pub type Gateway = Resource<GatewaySpec>;

/// What a gateway offers.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GatewaySpec {
    /// The class that serves it.
    #[schemars(length(min = 1, max = 253))]
    pub gateway_class_name: String,
    /// Where it accepts.
    #[schemars(length(min = 1, max = 64))]
    pub listeners: Vec<Listener>,
    /// The addresses wanted.
    #[serde(default)]
    pub addresses: Vec<GatewayAddress>,
    /// What generated objects carry.
    #[serde(default)]
    pub infrastructure: Option<Infrastructure>,
    /// Which ListenerSets may attach.
    #[serde(default)]
    pub allowed_listeners: Option<AllowedListeners>,
    /// TLS towards clients and backends, for all listeners.
    #[serde(default)]
    pub tls: Option<Value>,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Listener {
    /// Unique in the Gateway.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The hosts served; all when absent.
    #[serde(default)]
    #[schemars(length(min = 1, max = 253))]
    pub hostname: Option<String>,
    /// The port.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// What is spoken: `HTTP`, `HTTPS`, `TLS`, `TCP`, `UDP` or `domain/name`.
    #[schemars(length(min = 1, max = 255))]
    pub protocol: String,
    /// How TLS is terminated.
    #[serde(default)]
    pub tls: Option<ListenerTls>,
    /// Which routes may attach.
    #[serde(default)]
    pub allowed_routes: AllowedRoutes,
}

/// TLS of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ListenerTls {
    /// `Terminate` or `Passthrough`.
    #[serde(default)]
    pub mode: Option<String>,
    /// The certificates.
    #[serde(default)]
    pub certificate_refs: Vec<CertificateReference>,
    /// Settings of the implementation.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// Names the Secret of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "a Kubernetes reference; the fields say it")]
pub struct CertificateReference {
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub kind: Option<String>,
    pub name: String,
    #[serde(default)]
    pub namespace: Option<String>,
}

/// Which routes may attach to a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AllowedRoutes {
    /// From where.
    #[serde(default)]
    pub namespaces: RouteNamespaces,
    /// Of which kinds; what the protocol allows when empty.
    #[serde(default)]
    pub kinds: Vec<RouteGroupKind>,
}

/// From which namespaces routes may attach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RouteNamespaces {
    /// All, the Gateway's own, or those selected.
    #[serde(default)]
    pub from: FromNamespaces,
    /// Selects namespaces by label; needed for `Selector`.
    #[serde(default)]
    pub selector: Option<LabelSelector>,
}

/// A set of namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FromNamespaces {
    All,
    Selector,
    #[default]
    Same,
    None,
}

/// A kind of route.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RouteGroupKind {
    /// The API group; Gateway API's own when absent.
    #[serde(default)]
    pub group: Option<String>,
    /// The kind.
    pub kind: String,
}

/// An address wanted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GatewayAddress {
    /// `IPAddress` (the default), `Hostname` or `domain/name`.
    #[serde(default, rename = "type")]
    pub type_: Option<String>,
    /// The address; any when absent.
    #[serde(default)]
    pub value: Option<String>,
}

/// What objects generated for a Gateway carry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Infrastructure {
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Settings of the implementation.
    #[serde(default)]
    pub parameters_ref: Option<ParametersReference>,
}

/// Names the object that holds a Gateway's settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "a Kubernetes reference; the fields say it")]
pub struct ParametersReference {
    pub group: String,
    pub kind: String,
    pub name: String,
}

/// Which ListenerSets may attach to a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AllowedListeners {
    /// From where; nowhere when absent.
    #[serde(default)]
    pub namespaces: Option<RouteNamespaces>,
}

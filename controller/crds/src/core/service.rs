//! `v1 Service`: the usual backend.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::Resource;

/// A service.
pub type Service = Resource<ServiceSpec>;

/// What a service offers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the fields are those of the core API; Weir reads ports and type"
)]
pub struct ServiceSpec {
    #[serde(default)]
    pub ports: Vec<ServicePort>,
    #[serde(default, rename = "type")]
    pub type_: Option<String>,
    #[serde(default)]
    pub selector: BTreeMap<String, String>,
    #[serde(default, rename = "clusterIP")]
    pub cluster_ip: Option<String>,
    #[serde(default, rename = "clusterIPs")]
    pub cluster_ips: Option<Vec<String>>,
    #[serde(default)]
    pub external_name: Option<String>,
    #[serde(default, rename = "externalIPs")]
    pub external_ips: Option<Vec<String>>,
    #[serde(default)]
    pub external_traffic_policy: Option<String>,
    #[serde(default)]
    pub internal_traffic_policy: Option<String>,
    #[serde(default)]
    pub traffic_distribution: Option<String>,
    #[serde(default)]
    pub session_affinity: Option<String>,
    #[serde(default)]
    pub session_affinity_config: Option<Value>,
    #[serde(default)]
    pub ip_families: Option<Vec<String>>,
    #[serde(default)]
    pub ip_family_policy: Option<String>,
    #[serde(default, rename = "loadBalancerIP")]
    pub load_balancer_ip: Option<String>,
    #[serde(default)]
    pub load_balancer_class: Option<String>,
    #[serde(default)]
    pub load_balancer_source_ranges: Option<Vec<String>>,
    #[serde(default)]
    pub allocate_load_balancer_node_ports: Option<bool>,
    #[serde(default)]
    pub health_check_node_port: Option<i32>,
    #[serde(default)]
    pub publish_not_ready_addresses: Option<bool>,
}

/// One port of a service.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ServicePort {
    /// Ties the port to the ports of EndpointSlices; may be absent when there is one.
    #[serde(default)]
    pub name: Option<String>,
    /// The number that backendRefs name.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The pods' port, by number or name; `port` when absent.
    #[serde(default)]
    pub target_port: Option<IntOrString>,
    /// The transport.
    #[serde(default)]
    pub protocol: Protocol,
    /// What is spoken on it.
    #[serde(default)]
    pub app_protocol: Option<String>,
    /// Not read.
    #[serde(default)]
    pub node_port: Option<u16>,
}

/// A transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "each is the protocol of that name")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

/// A port by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(extend("type" = ["integer", "string"]), transform = drop_union)]
pub enum IntOrString {
    /// By number.
    Int(u16),
    /// By name.
    String(String),
}

/// `type: [integer, string]` alone gives the readable error.
fn drop_union(schema: &mut schemars::Schema) {
    schema.remove("anyOf");
}

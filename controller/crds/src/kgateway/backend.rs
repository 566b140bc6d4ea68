//! `Backend`: an upstream that is not a Service.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::Resource;

/// An upstream.
pub type Backend = Resource<BackendSpec>;

/// The upstream; exactly one member beside `type` is set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are kgateway's")]
pub struct BackendSpec {
    /// Deprecated; inferred from the member that is set.
    #[serde(default, rename = "type")]
    pub type_: Option<String>,
    #[serde(default, rename = "static")]
    pub static_: Option<StaticBackend>,
    #[serde(default)]
    pub dynamic_forward_proxy: Option<Value>,
    #[serde(default)]
    pub gcp: Option<Value>,
    #[serde(default)]
    pub aws: Option<Value>,
    #[serde(default)]
    pub priority_groups: Option<Value>,
    #[serde(default)]
    pub ai: Option<Value>,
    #[serde(default)]
    pub mcp: Option<Value>,
}

impl BackendSpec {
    /// The members that are set, by name.
    pub fn members(&self) -> impl Iterator<Item = &'static str> {
        [
            ("static", self.static_.is_some()),
            ("dynamicForwardProxy", self.dynamic_forward_proxy.is_some()),
            ("gcp", self.gcp.is_some()),
            ("aws", self.aws.is_some()),
            ("priorityGroups", self.priority_groups.is_some()),
            ("ai", self.ai.is_some()),
            ("mcp", self.mcp.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_set)| is_set.then_some(name))
    }
}

/// Fixed hosts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StaticBackend {
    /// The hosts.
    #[schemars(length(min = 1))]
    pub hosts: Vec<StaticHost>,
    /// What is spoken with them; HTTP/1.1 when absent.
    #[serde(default)]
    pub app_protocol: Option<String>,
}

/// A fixed host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StaticHost {
    /// An address or DNS name.
    #[schemars(length(min = 1))]
    pub host: String,
    /// The port.
    #[schemars(range(min = 1))]
    pub port: u16,
}

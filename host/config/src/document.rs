//! The `Document`: Weir's one configuration language, as it is written in YAML or JSON.
//!
//! Names refer to other parts of the same document. Everything is untrusted until it was lowered.

mod plugin;

use serde::{Deserialize, Serialize};

pub use plugin::{
    FailureMode, Filter, GrantedBackend, Isolation, Limits, OciSource, Plugin, PullSecret, Recycle, Rollout,
    Source,
};

/// The configuration of one gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Document {
    /// The version of this language; always `weir.dev/v1`.
    pub version: String,
    /// The Gateway, as `namespace/name`.
    pub gateway: String,
    /// Whether responses of our own say why in a header.
    #[serde(default, skip_serializing_if = "plugin::is_default")]
    pub detail_header: bool,
    /// Where to accept.
    #[serde(default)]
    pub listeners: Vec<Listener>,
    /// The rules of all routes, in tie-break order.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Configured uses of plugins.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// Artifacts.
    #[serde(default)]
    pub plugins: Vec<Plugin>,
    /// Upstreams.
    #[serde(default)]
    pub clusters: Vec<Cluster>,
}

impl Document {
    /// The only version there is.
    pub const VERSION: &'static str = "weir.dev/v1";

    /// Writes the document as YAML, for people: passwords are left out.
    ///
    /// # Errors
    /// When a value has no YAML form, which none of ours lacks.
    pub fn to_yaml(&self) -> Result<String, serde_saphyr::ser::Error> {
        let mut document = self.clone();
        for plugin in &mut document.plugins {
            if let Source::Oci(OciSource {
                pull_secret: Some(secret),
                ..
            }) = &mut plugin.source
            {
                secret.password = plugin::REDACTED.to_owned();
            }
        }
        serde_saphyr::to_string(&document)
    }
}

/// Where the gateway accepts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Listener {
    /// Unique; `namespace/gateway/listener`.
    pub name: String,
    /// The IP address to bind.
    pub address: String,
    /// The port to bind.
    pub port: u16,
    /// Only `HTTP`.
    pub protocol: Protocol,
    /// The hosts served; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Names of filters that run on every exchange.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// Names of the routes attached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// Cleartext HTTP.
    #[serde(rename = "HTTP")]
    Http,
}

/// One rule of a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Route {
    /// Unique; `namespace/route/rule`.
    pub name: String,
    /// The hosts served; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<String>,
    /// Alternatives. Empty means everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<Match>,
    /// Names of the filters of this rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// Shares of the traffic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<Backend>,
}

/// A conjunction of conditions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Match {
    /// The path; every path when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// The method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Header conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<ValueMatch>,
    /// Query conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<ValueMatch>,
}

/// A condition on the path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PathMatch {
    /// The whole path.
    Exact(String),
    /// Whole elements.
    Prefix(String),
    /// The whole path, as a regular expression.
    Regex(String),
}

/// A condition on a named value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ValueMatch {
    /// The header's or parameter's name.
    pub name: String,
    /// The value.
    pub value: ValuePattern,
}

/// How a value is compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ValuePattern {
    /// The whole value.
    Exact(String),
    /// The whole value, as a regular expression.
    Regex(String),
}

/// A share of a rule's traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Backend {
    /// The cluster's name. Absent, as `handler` is, when the reference did not resolve (its share gets 500).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The name of a filter that answers instead of a cluster; its plugin is a terminal handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// Its share.
    pub weight: u32,
}

/// The live set of addresses behind a backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Cluster {
    /// Unique; `kind/namespace/name/port`.
    pub name: String,
    /// Empty when nothing is ready.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Endpoint {
    /// An IP address or a DNS name.
    pub host: String,
    /// The port.
    pub port: u16,
}

#[cfg(test)]
mod tests;

//! The `Document`: Weir's one configuration language, as it is written in YAML or JSON.
//!
//! Names refer to other parts of the same document. Everything is untrusted until it was lowered.

use serde::{Deserialize, Serialize};

/// The configuration of one gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Document {
    /// The version of this language; always `weir.dev/v1`.
    pub version: String,
    /// The Gateway, as `namespace/name`.
    pub gateway: String,
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

    /// Writes the document as YAML.
    ///
    /// # Errors
    /// When a value has no YAML form, which none of ours lacks.
    pub fn to_yaml(&self) -> Result<String, serde_saphyr::ser::Error> {
        serde_saphyr::to_string(self)
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
    /// The cluster's name; absent when the reference did not resolve (its share gets 500).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Its share.
    pub weight: u32,
}

/// One configured use of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Filter {
    /// Unique.
    pub name: String,
    /// The plugin's name.
    pub plugin: String,
    /// Handed to the plugin as JSON.
    #[serde(default)]
    pub config: serde_json::Value,
    /// The stage, by name.
    pub stage: String,
    /// What its failure does.
    #[serde(default)]
    pub failure_mode: FailureMode,
    /// The capabilities of this use; a subset of the plugin's when given, else the plugin's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// Narrower limits than the plugin's.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// The objects that asked for it, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origin: Vec<String>,
}

/// What a filter's failure does to the exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureMode {
    /// Answer with an error.
    #[default]
    Closed,
    /// Leave this filter out.
    Open,
}

/// A plugin artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Plugin {
    /// Unique; `namespace/name`, or `builtin/<name>`.
    pub name: String,
    /// Where its bytes come from.
    pub source: Source,
    /// `sha256:<hex>`, when pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Granted imports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// What one call may use.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

/// Where a plugin's bytes come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// Embedded, by name.
    Builtin(String),
    /// A file, by absolute path.
    File(String),
}

/// What one call of a plugin may use; absent fields take the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// Linear memory, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// CPU time of one call, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_millis: Option<u64>,
    /// Largest body held back, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// Instances per worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
}

impl Limits {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
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

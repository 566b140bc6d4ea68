//! Plugins and their configured uses, as they are written.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What stands for a password where people read.
pub(super) const REDACTED: &str = "(redacted)";

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
    /// Narrower limits than the plugin's; `kvBytes` has no place here.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// The plugin's own when absent; a fresh plugin has no warm uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// The backends of this use; by name a subset of the plugin's when given, else the plugin's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backends: Option<Vec<GrantedBackend>>,
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
    /// The public key (PEM) that must have signed the bytes, when any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Granted imports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// What one call may use.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// Whether an instance serves one exchange or many.
    #[serde(default, skip_serializing_if = "is_default")]
    pub isolation: Isolation,
    /// How a new version takes over.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rollout: Rollout,
    /// When a warm instance is replaced.
    #[serde(default, skip_serializing_if = "is_default")]
    pub recycle: Recycle,
    /// Backends that callouts may go to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<GrantedBackend>,
}

/// Where a plugin's bytes come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// Embedded, by name.
    Builtin(String),
    /// A file, by absolute path.
    File(String),
    /// A web server, by URL.
    Http(String),
    /// An OCI registry.
    Oci(OciSource),
}

/// A plugin in an OCI registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OciSource {
    /// `registry/repository:tag` or `registry/repository@sha256:<hex>`.
    pub reference: String,
    /// How often the tag is resolved again, in milliseconds; 300000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_millis: Option<u64>,
    /// Who we are to the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_secret: Option<PullSecret>,
    /// Without TLS.
    #[serde(default, skip_serializing_if = "is_default")]
    pub plain_http: bool,
}

/// Who we are to a registry.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
pub struct PullSecret {
    pub username: String,
    pub password: String,
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullSecret")
            .field("username", &self.username)
            .field("password", &REDACTED)
            .finish()
    }
}

/// Whether an instance serves one exchange or many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Isolation {
    /// Many.
    #[default]
    Warm,
    /// One.
    Fresh,
}

/// How a new version of a plugin takes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rollout {
    /// At once.
    #[default]
    Replace,
    /// It runs beside the old one without effect.
    Shadow,
}

/// When a warm instance is replaced; absent fields take the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Recycle {
    /// After so many calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u32>,
    /// After so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_millis: Option<u64>,
    /// When its memory was above this share of its limit; 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_percent: Option<u8>,
}

/// A backend that callouts may go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GrantedBackend {
    /// As the plugin calls it; unique.
    pub name: String,
    /// The cluster's name; absent when the reference did not resolve (callouts to it fail).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// What a plugin may use; absent fields take the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// Linear memory of an instance, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Elements of a table of an instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_elements: Option<u32>,
    /// CPU time of one call, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_millis: Option<u64>,
    /// Time of one call by the clock, host waits included, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_millis: Option<u64>,
    /// Largest body held back, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// Instances per worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// Callouts per exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callouts: Option<u32>,
    /// Log lines per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_lines: Option<u32>,
    /// Keys and values in the plugin's namespace, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_bytes: Option<u64>,
}

impl Limits {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether a field says nothing more than its absence would.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

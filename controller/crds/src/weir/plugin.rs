//! `Plugin`: an artifact, and what it may do.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::Resource;

/// A plugin.
pub type Plugin = Resource<PluginSpec>;

/// Where a plugin comes from, what it is granted and how much it may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PluginSpec {
    /// Where its bytes come from.
    pub source: PluginSource,
    /// `sha256:` and 64 hex digits that the bytes must have.
    #[serde(default)]
    pub digest: Option<String>,
    /// Imports it may have, such as `log` or `sink:/dev/stdout`.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// What one call of it may use.
    #[serde(default)]
    pub limits: Limits,
}

/// Where a plugin's bytes come from; exactly one member is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PluginSource {
    /// A file.
    #[serde(default)]
    pub file: Option<FileSource>,
    /// A plugin that Weir carries.
    #[serde(default)]
    pub builtin: Option<BuiltinSource>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FileSource {
    /// Absolute, or relative to the manifest's folder.
    #[schemars(length(min = 1))]
    pub path: String,
}

/// A plugin that Weir carries.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BuiltinSource {
    /// Its name.
    #[schemars(length(min = 1))]
    pub name: String,
}

/// What one call may use; absent members take the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// Linear memory, as a quantity such as `32Mi`.
    #[serde(default)]
    pub memory: Option<String>,
    /// CPU time, as a duration such as `20ms`.
    #[serde(default)]
    pub deadline: Option<String>,
    /// The largest body held back, as a quantity.
    #[serde(default)]
    pub body: Option<String>,
    /// Instances per worker.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub instances: Option<u32>,
}

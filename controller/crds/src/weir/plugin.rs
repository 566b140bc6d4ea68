//! `Plugin`: an artifact, what it may do, how much it may use and how it is kept.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{GrantedBackend, Isolation, Limits, PluginSource, Verify};
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
    /// Who must have signed the bytes; nobody when absent.
    #[serde(default)]
    pub verify: Option<Verify>,
    /// Imports it may have, such as `log` or `sink:/dev/stdout`.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Backends that its callouts may go to.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub backends: Vec<GrantedBackend>,
    /// What one call of it may use.
    #[serde(default)]
    pub limits: Limits,
    /// Whether an instance serves many exchanges or one; `Warm` when absent.
    #[serde(default)]
    pub isolation: Isolation,
    /// How a new version takes over.
    #[serde(default)]
    pub rollout: Rollout,
    /// When a warm instance is replaced.
    #[serde(default)]
    pub recycle: Recycle,
}

/// How a new version takes over from the one that is live.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rollout {
    /// `Replace` when absent.
    #[serde(default)]
    pub strategy: RolloutStrategy,
}

/// A way to take over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum RolloutStrategy {
    /// The new version replaces the old one once it is loaded.
    #[default]
    Replace,
    /// The new version runs beside the old one without effect, and their decisions are compared.
    Shadow,
}

/// When a warm instance is replaced, whichever comes first; absent members take the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Recycle {
    /// After so many calls; 100000 when absent.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub calls: Option<u32>,
    /// After so long, as a duration of a second or more; `1h` when absent.
    #[serde(default)]
    pub age: Option<String>,
    /// When its memory was above this share of its limit after a call; 75 when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub memory_percent: Option<u8>,
}

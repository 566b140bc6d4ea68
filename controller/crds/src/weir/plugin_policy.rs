//! `PluginPolicy`: attaches a plugin, with a configuration, to Gateways and routes.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Isolation, Limits, UsedBackend};
use crate::Resource;
use crate::kgateway::{TargetReference, TargetSelector};

/// A policy.
pub type PluginPolicy = Resource<PluginPolicySpec>;

/// Which plugin runs where, and how.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PluginPolicySpec {
    /// Gateways and HTTPRoutes by name.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub target_refs: Vec<TargetReference>,
    /// Gateways and HTTPRoutes by label.
    #[serde(default)]
    pub target_selectors: Vec<TargetSelector>,
    /// The plugin.
    pub plugin: PluginReference,
    /// Handed to the plugin as JSON.
    #[serde(default)]
    pub config: Value,
    /// The part of the chain.
    #[serde(default)]
    pub stage: Stage,
    /// The place in the stage.
    #[serde(default)]
    pub predicate: Predicate,
    /// The order among equals; higher runs earlier.
    #[serde(default)]
    pub weight: i32,
    /// What a failure of the plugin does to the exchange.
    #[serde(default)]
    pub failure_mode: FailureMode,
    /// The capabilities of this use; the plugin's own when absent.
    #[serde(default)]
    pub capabilities: Option<Vec<String>>,
    /// The backends of this use; the plugin's own when absent.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub backends: Option<Vec<UsedBackend>>,
    /// Limits of this use, narrower than the plugin's own.
    #[serde(default)]
    pub limits: Limits,
    /// `Fresh` over a warm plugin, never the reverse; the plugin's own when absent.
    #[serde(default)]
    pub isolation: Option<Isolation>,
}

/// Names a Plugin of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PluginReference {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A part of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(
    missing_docs,
    reason = "the names are the stages of every chain, first to last"
)]
pub enum Stage {
    Fault,
    Cors,
    Waf,
    Authn,
    Authz,
    RateLimit,
    #[default]
    Accepted,
    OutAuth,
    Route,
}

/// A place in a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Predicate {
    Before,
    #[default]
    During,
    After,
}

/// What a failure does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum FailureMode {
    /// The exchange is answered with an error.
    #[default]
    Closed,
    /// The filter is left out.
    Open,
}

//! Weir's own kinds, `weir.dev/v1alpha1`.

mod plugin;
mod plugin_policy;

/// The API group.
pub const GROUP: &str = "weir.dev";

pub use plugin::{BuiltinSource, FileSource, Limits, Plugin, PluginSource, PluginSpec};
pub use plugin_policy::{FailureMode, PluginPolicy, PluginPolicySpec, PluginReference, Predicate, Stage};

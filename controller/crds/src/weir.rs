//! Weir's own kinds, `weir.dev/v1alpha1`.

mod backend;
mod limit;
mod plugin;
mod plugin_policy;
mod source;

/// The API group.
pub const GROUP: &str = "weir.dev";

pub use backend::{GrantedBackend, UsedBackend};
pub use limit::{Isolation, Limits};
pub use plugin::{Plugin, PluginSpec, Recycle, Rollout, RolloutStrategy};
pub use plugin_policy::{FailureMode, PluginPolicy, PluginPolicySpec, PluginReference, Predicate, Stage};
pub use source::{
    BuiltinSource, FileSource, HttpSource, OciSource, PluginSource, SecretKeyReference, SecretReference,
    Verify,
};

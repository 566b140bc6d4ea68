//! What a plugin may use, on `Plugin` and `PluginPolicy`.

use schemars::JsonSchema;
use serde::Deserialize;

/// What one call may use; absent members take the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// Linear memory of an instance, as a quantity such as `32Mi`.
    #[serde(default)]
    pub memory: Option<String>,
    /// Elements of a table of an instance.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub table_elements: Option<u32>,
    /// CPU time of a call, as a duration such as `20ms`.
    #[serde(default)]
    pub deadline: Option<String>,
    /// Time of a call by the clock with its waits for the host, as a duration.
    #[serde(default)]
    pub timeout: Option<String>,
    /// The largest body held back, as a quantity.
    #[serde(default)]
    pub body: Option<String>,
    /// Instances per worker.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub instances: Option<u32>,
    /// Callouts per exchange; 0 forbids them.
    #[serde(default)]
    pub callouts: Option<u32>,
    /// Log lines per second; 0 forbids them.
    #[serde(default)]
    pub log_lines: Option<u32>,
    /// Keys and values in the plugin's namespace, as a quantity. Only on a Plugin: all its uses share it.
    #[serde(default)]
    pub kv: Option<String>,
}

/// Whether an instance serves many exchanges or one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Isolation {
    /// Many.
    #[default]
    Warm,
    /// One; it is thrown away after it.
    Fresh,
}

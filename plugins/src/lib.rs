//! The built-in plugins, embedded as components.
//!
//! A built-in is a plugin like any other: it has no privilege that a user's plugin cannot be granted. Only
//! its bytes come with the gateway. Each has a folder of its own beside this crate's `src`.

/// A plugin that comes with the gateway.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// Its name, as in `builtin/<name>`.
    pub name: &'static str,
    /// The component.
    pub component: &'static [u8],
    /// The JSON Schema of its configuration.
    pub schema: &'static str,
    /// The imports it has and must be granted, without their arguments.
    pub capabilities: &'static [&'static str],
}

macro_rules! builtin {
    ($name:literal, $capabilities:expr) => {
        Builtin {
            name: $name,
            component: include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../target/wasm/plugins/",
                $name,
                ".wasm"
            )),
            schema: include_str!(concat!("../", $name, "/schema.json")),
            capabilities: $capabilities,
        }
    };
}

/// Every built-in plugin.
pub const BUILTINS: &[Builtin] = &[
    builtin!("transformation", &["environment", "log", "random"]),
    builtin!("direct-response", &[]),
    builtin!("access-log", &["sink"]),
];

impl Builtin {
    /// The built-in of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        BUILTINS.iter().find(|builtin| builtin.name == name)
    }
}

#[cfg(test)]
mod tests;

//! Configurations in JSON.

use serde::de::DeserializeOwned;

/// Reads a JSON configuration. No configuration at all counts as `{}`.
///
/// # Errors
/// With the text for [`Policy::configure`](crate::Policy::configure): what is wrong, and where.
pub fn from_json<T: DeserializeOwned>(config: &[u8]) -> Result<T, String> {
    let config = if config.is_empty() {
        b"{}".as_slice()
    } else {
        config
    };
    serde_json::from_slice(config).map_err(|error| error.to_string())
}

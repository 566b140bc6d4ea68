//! Who signed what: public keys, and the forms in which cosign writes signatures. Pure; the crypto is the library's.

mod bundle;
mod key;
mod simple;

pub(crate) use self::bundle::{BUNDLE_TYPE, verify_blob_bundle, verify_manifest_bundle};
pub use self::key::{NotAKey, PublicKey};
pub(crate) use self::simple::{SIMPLE_TYPE, verify_payload};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Digest;

/// A signature that proves nothing, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unproven(pub(crate) String);

impl Unproven {
    fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

/// Verifies the file that stands beside a blob: a bundle, or the bare signature in base64.
pub(crate) fn verify_blob(key: &PublicKey, blob: &[u8], beside: &[u8]) -> Result<(), Unproven> {
    if beside.trim_ascii_start().starts_with(b"{") {
        return verify_blob_bundle(key, blob, beside);
    }
    let signature = decode(beside)?;
    key.verify(blob, &signature)
        .then_some(())
        .ok_or_else(|| Unproven::new("the key did not sign these bytes"))
}

fn decode(text: &[u8]) -> Result<Vec<u8>, Unproven> {
    STANDARD
        .decode(text.trim_ascii())
        .map_err(|error| Unproven::new(format!("a signature is not valid base64: {error}")))
}

fn other_manifest(found: &str, expected: Digest) -> Unproven {
    let found: String = found.chars().take(80).collect();
    Unproven::new(format!(
        "the key signed another manifest: {}, not {expected}",
        found.escape_debug()
    ))
}

#[cfg(test)]
mod tests;

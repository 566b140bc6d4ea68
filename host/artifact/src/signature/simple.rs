//! cosign's form in a `.sig` tag: a small JSON payload that names a manifest, and a signature of the payload.

use serde::Deserialize;

use super::{PublicKey, Unproven, decode, other_manifest};
use crate::Digest;

/// The media type of payloads.
pub(crate) const SIMPLE_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

const KIND: &str = "cosign container image signature";

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: SignedImage,
    r#type: String,
}

#[derive(Deserialize)]
struct SignedImage {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Succeeds when the key signed the payload and the payload is about the manifest.
///
/// The name in the payload is not compared: a mirror has another name and the same content.
pub(crate) fn verify_payload(
    key: &PublicKey,
    payload: &[u8],
    signature: &str,
    manifest: Digest,
) -> Result<(), Unproven> {
    if !key.verify(payload, &decode(signature.as_bytes())?) {
        return Err(Unproven::new("another key signed it"));
    }
    let payload: Payload = serde_json::from_slice(payload)
        .map_err(|error| Unproven::new(format!("the signed payload is not valid: {error}")))?;
    if payload.critical.r#type != KIND {
        return Err(Unproven::new("the signed payload is not about an image"));
    }
    if payload.critical.image.digest != manifest.to_string() {
        return Err(other_manifest(&payload.critical.image.digest, manifest));
    }
    Ok(())
}

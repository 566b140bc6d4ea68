//! Sigstore bundles, which newer cosign writes: for a manifest a signed statement about it, for a blob its signature.
//!
//! Only the key proves anything here; certificates and transparency logs in a bundle are not looked at.

use serde::Deserialize;

use super::{PublicKey, Unproven, decode, other_manifest};
use crate::Digest;

/// The media type of bundles.
pub(crate) const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";

/// What `cosign sign` says of a manifest. Attestations have other predicates: a key that signed a test report about
/// an image has not signed the image.
const SIGNS: &str = "https://sigstore.dev/cosign/sign/v1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Option<Envelope>,
    message_signature: Option<MessageSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Deserialize)]
struct MessageSignature {
    signature: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    digest: SubjectDigest,
}

#[derive(Deserialize)]
struct SubjectDigest {
    sha256: Option<String>,
}

/// Succeeds when the key signed the statement and the statement is that the manifest is signed.
pub(crate) fn verify_manifest_bundle(
    key: &PublicKey,
    bundle: &[u8],
    manifest: Digest,
) -> Result<(), Unproven> {
    let envelope = parse(bundle)?
        .dsse_envelope
        .ok_or_else(|| Unproven::new("the bundle has no statement"))?;
    if envelope.payload_type != STATEMENT_TYPE {
        return Err(Unproven::new("the bundle's statement is not of the in-toto form"));
    }
    let payload = decode(envelope.payload.as_bytes())?;
    let message = pre_authentication(&envelope.payload_type, &payload);
    let is_signed = envelope
        .signatures
        .iter()
        .filter_map(|signature| decode(signature.sig.as_bytes()).ok())
        .any(|signature| key.verify(&message, &signature));
    if !is_signed {
        return Err(Unproven::new("another key signed it"));
    }
    let statement: Statement = serde_json::from_slice(&payload)
        .map_err(|error| Unproven::new(format!("the signed statement is not valid: {error}")))?;
    if statement.predicate_type != SIGNS {
        return Err(Unproven::new(
            "the signed statement is an attestation, not a signature",
        ));
    }
    let hex = manifest.hex();
    let mut digests = statement
        .subject
        .iter()
        .filter_map(|subject| subject.digest.sha256.as_deref());
    if digests.any(|digest| digest == hex) {
        Ok(())
    } else {
        let first = statement
            .subject
            .iter()
            .find_map(|subject| subject.digest.sha256.as_deref());
        Err(other_manifest(first.unwrap_or("none"), manifest))
    }
}

/// Succeeds when the key signed the blob.
pub(crate) fn verify_blob_bundle(key: &PublicKey, blob: &[u8], bundle: &[u8]) -> Result<(), Unproven> {
    let signature = parse(bundle)?
        .message_signature
        .ok_or_else(|| Unproven::new("the bundle has no signature of a file"))?;
    key.verify(blob, &decode(signature.signature.as_bytes())?)
        .then_some(())
        .ok_or_else(|| Unproven::new("the key did not sign these bytes"))
}

fn parse(bundle: &[u8]) -> Result<Bundle, Unproven> {
    serde_json::from_slice(bundle).map_err(|error| Unproven::new(format!("the bundle is not valid: {error}")))
}

/// What DSSE signs: type and payload with their lengths, so that neither can pass for the other.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}

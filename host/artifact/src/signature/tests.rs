//! Signatures that cosign itself made, and what must not pass for one.

use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SigningKey as _};
use serde_json::json;

use super::*;

const KEY: &str = include_str!("fixture/cosign.pub");
const PAYLOAD: &[u8] = include_bytes!("fixture/payload.json");
const PAYLOAD_SIGNATURE: &str = include_str!("fixture/payload.sig");
const MANIFEST_BUNDLE: &[u8] = include_bytes!("fixture/manifest-bundle.json");
const BLOB: &[u8] = b"\0asm\x0d\0\x01\0hello";
const BLOB_SIGNATURE: &[u8] = include_bytes!("fixture/blob.sig");
const BLOB_BUNDLE: &[u8] = include_bytes!("fixture/blob-bundle.json");
const MANIFEST: &str = "sha256:2b4b5aaf1bffa61b9c02a2aeb50c373381251d5a9a4ce1fab4a5b900e6cfd3c4";

fn cosign_key() -> PublicKey {
    KEY.parse().expect("a key")
}

fn manifest() -> Digest {
    MANIFEST.parse().expect("a digest")
}

fn other_key() -> (KeyPair, PublicKey) {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let public = pair.public_key_pem().parse().expect("a key");
    (pair, public)
}

fn sign(pair: &KeyPair, message: &[u8]) -> String {
    STANDARD.encode(pair.sign(message).expect("signed"))
}

fn check_unproven(outcome: Result<(), Unproven>, words: &str) {
    let problem = outcome.expect_err("unproven").to_string();
    assert!(problem.contains(words), "{problem} lacks {words}");
}

#[test]
fn what_cosign_signed_is_accepted_in_all_its_forms() {
    let key = cosign_key();
    assert_eq!(
        verify_payload(&key, PAYLOAD, PAYLOAD_SIGNATURE, manifest()),
        Ok(())
    );
    assert_eq!(verify_manifest_bundle(&key, MANIFEST_BUNDLE, manifest()), Ok(()));
    assert_eq!(verify_blob(&key, BLOB, BLOB_SIGNATURE), Ok(()));
    assert_eq!(verify_blob(&key, BLOB, BLOB_BUNDLE), Ok(()));
}

#[test]
fn another_key_proves_nothing() {
    let (_, key) = other_key();
    check_unproven(
        verify_payload(&key, PAYLOAD, PAYLOAD_SIGNATURE, manifest()),
        "another key",
    );
    check_unproven(
        verify_manifest_bundle(&key, MANIFEST_BUNDLE, manifest()),
        "another key",
    );
    check_unproven(verify_blob(&key, BLOB, BLOB_SIGNATURE), "did not sign");
    check_unproven(verify_blob(&key, BLOB, BLOB_BUNDLE), "did not sign");
}

#[test]
fn a_good_signature_of_another_manifest_proves_nothing() {
    let key = cosign_key();
    let other = Digest::of(b"other");
    check_unproven(
        verify_payload(&key, PAYLOAD, PAYLOAD_SIGNATURE, other),
        "another manifest",
    );
    check_unproven(
        verify_manifest_bundle(&key, MANIFEST_BUNDLE, other),
        "another manifest",
    );
    check_unproven(verify_blob(&key, b"\0asm other", BLOB_SIGNATURE), "did not sign");
}

#[test]
fn a_changed_payload_proves_nothing() {
    let changed = String::from_utf8_lossy(PAYLOAD).replace("team/geo", "team/god");
    check_unproven(
        verify_payload(&cosign_key(), changed.as_bytes(), PAYLOAD_SIGNATURE, manifest()),
        "another key",
    );
}

#[test]
fn a_key_that_signed_something_else_about_the_manifest_did_not_sign_it() {
    let (pair, key) = other_key();
    let mut payload: serde_json::Value = serde_json::from_slice(PAYLOAD).expect("JSON");
    payload["critical"]["type"] = json!("something else");
    let payload = payload.to_string();
    let signature = sign(&pair, payload.as_bytes());
    check_unproven(
        verify_payload(&key, payload.as_bytes(), &signature, manifest()),
        "not about an image",
    );

    let statement = |predicate: &str| {
        let statement =
            json!({"predicateType": predicate, "subject": [{"digest": {"sha256": manifest().hex()}}]});
        let statement = statement.to_string();
        let kind = "application/vnd.in-toto+json";
        let message = format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len());
        let bundle = json!({"dsseEnvelope": {
            "payloadType": kind,
            "payload": STANDARD.encode(&statement),
            "signatures": [{"sig": sign(&pair, message.as_bytes())}],
        }});
        verify_manifest_bundle(&key, bundle.to_string().as_bytes(), manifest())
    };
    assert_eq!(statement("https://sigstore.dev/cosign/sign/v1"), Ok(()));
    check_unproven(statement("https://slsa.dev/provenance/v1"), "attestation");
}

#[test]
fn ed25519_and_rsa_keys_verify_too() {
    let pair = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
    let key: PublicKey = pair.public_key_pem().parse().expect("a key");
    assert_eq!(verify_blob(&key, BLOB, sign(&pair, BLOB).as_bytes()), Ok(()));
    check_unproven(
        verify_blob(&key, b"other", sign(&pair, BLOB).as_bytes()),
        "did not sign",
    );

    let key: PublicKey = include_str!("fixture/rsa.pub").parse().expect("a key");
    let signature = include_bytes!("fixture/rsa.sig");
    assert_eq!(verify_blob(&key, b"signed with RSA", signature), Ok(()));
    check_unproven(verify_blob(&key, b"signed with rsa", signature), "did not sign");
}

#[test]
fn nonsense_is_an_error() {
    let key = cosign_key();
    check_unproven(verify_blob(&key, BLOB, b"???"), "base64");
    check_unproven(verify_blob(&key, BLOB, b""), "did not sign");
    check_unproven(verify_blob(&key, BLOB, b"{}"), "no signature of a file");
    check_unproven(verify_blob(&key, BLOB, b"{"), "not valid");
    check_unproven(
        verify_manifest_bundle(&key, BLOB_BUNDLE, manifest()),
        "no statement",
    );
}

#[test]
fn keys_that_cannot_be_used_say_why() {
    let check = |pem: &str, words: &str| {
        let problem = pem.parse::<PublicKey>().expect_err("no key").to_string();
        assert!(problem.contains(words), "{problem} lacks {words}");
    };
    check("", "not PEM");
    check("cosign.pub", "not PEM");
    check(&KEY.replace("PUBLIC KEY", "CERTIFICATE"), "it is a CERTIFICATE");
    check(
        "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n",
        "damaged",
    );
    check(include_str!("fixture/rsa-1024.pub"), "2048 bits or more");
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
    check(&p384.public_key_pem(), "not P-256");
}

//! A public key: read from PEM, asked whether it made a signature.

use std::fmt;
use std::str::FromStr;

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use spki::der::Decode as _;
use spki::{Document, ObjectIdentifier, SubjectPublicKeyInfoRef};

use crate::Digest;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const EDWARDS_25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The modulus of 2048 bits, which is most of such a key.
const MIN_RSA: usize = 256;

/// An ECDSA P-256, Ed25519 or RSA key, as `cosign generate-key-pair` writes it to `cosign.pub`.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    /// The key alone, in the form that its algorithm wants.
    bytes: Vec<u8>,
}

/// A text that is no key Weir can verify with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the public key cannot be used: {0}")]
pub struct NotAKey(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    P256,
    Ed25519,
    Rsa,
}

impl PublicKey {
    /// Whether this key's owner signed the message: with SHA-256, except Ed25519 which hashes itself.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn VerificationAlgorithm = match self.kind {
            Kind::P256 => &ECDSA_P256_SHA256_ASN1,
            Kind::Ed25519 => &ED25519,
            Kind::Rsa => &RSA_PKCS1_2048_8192_SHA256,
        };
        UnparsedPublicKey::new(algorithm, &self.bytes)
            .verify(message, signature)
            .is_ok()
    }

    /// Names the key in messages and records.
    pub(crate) fn fingerprint(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(pem: &str) -> Result<Self, NotAKey> {
        let (label, document) = Document::from_pem(pem.trim()).map_err(|error| {
            NotAKey(format!(
                "it is not PEM ({error}); give what stands in cosign.pub, `-----BEGIN PUBLIC KEY-----` included"
            ))
        })?;
        if label != "PUBLIC KEY" {
            return Err(NotAKey(format!("it is a {label}; give a PUBLIC KEY")));
        }
        let info = SubjectPublicKeyInfoRef::from_der(document.as_bytes())
            .map_err(|error| NotAKey(format!("it is damaged ({error})")))?;
        let curve = || info.algorithm.parameters_oid().ok();
        let kind = match info.algorithm.oid {
            EC if curve() == Some(P256) => Kind::P256,
            EC => return Err(NotAKey("its curve is not P-256".into())),
            EDWARDS_25519 => Kind::Ed25519,
            RSA => Kind::Rsa,
            other => {
                return Err(NotAKey(format!(
                    "its algorithm {other} is not one of ECDSA P-256, Ed25519 and RSA"
                )));
            }
        };
        let bytes = info
            .subject_public_key
            .as_bytes()
            .ok_or_else(|| NotAKey("it is damaged (unused bits)".into()))?;
        if kind == Kind::Rsa && bytes.len() < MIN_RSA {
            return Err(NotAKey("an RSA key must have 2048 bits or more".into()));
        }
        Ok(Self {
            kind,
            bytes: bytes.to_vec(),
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} key {}", self.kind, self.fingerprint())
    }
}

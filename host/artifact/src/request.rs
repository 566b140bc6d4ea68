//! What is asked for, and what comes back.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;

use crate::{Digest, PublicKey, Reference, Version};

/// A plugin's artifact, by place and by what must be true of it.
#[derive(Clone, Debug)]
pub struct ArtifactRequest {
    /// Who asks, such as a namespace. What was fetched for one owner is never served from disk to another, who may
    /// lack the permission to pull it.
    pub owner: String,
    /// Where it is.
    pub source: Source,
    /// The digest it must have: of the Wasm, or of the manifest when the source is a registry.
    pub digest: Option<Digest>,
    /// The key that must have signed it.
    pub public_key: Option<PublicKey>,
}

/// Where an artifact is.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file of this machine; its signature stands beside it, with `.sig` appended.
    File {
        /// Its path.
        path: PathBuf,
    },
    /// A file of a web server; its signature is at the same URL with `.sig` appended to the path.
    Http {
        /// `http` or `https`, without user and password.
        url: String,
    },
    /// An artifact of a registry.
    Oci {
        /// `registry/repository:tag` or `registry/repository@sha256:…`.
        reference: String,
        /// Speak HTTP without TLS.
        plain_http: bool,
        /// For registries that ask; sent to nobody else than the registry and its token service.
        credentials: Option<Credentials>,
    },
}

/// A user and password, or a user and token. `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password or token.
    pub password: String,
}

/// Bytes that passed every check asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The Wasm.
    pub bytes: Bytes,
    /// Of the Wasm.
    pub digest: Digest,
    /// What the source meant: for registries `registry/repository@sha256:…` of the manifest, else the source itself.
    pub resolved: String,
}

impl ArtifactRequest {
    /// Whether the answer can never change: a digest pins it.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.digest.is_some()
            || match &self.source {
                Source::Oci { reference, .. } => reference
                    .parse()
                    .is_ok_and(|reference: Reference| matches!(reference.version(), Version::Digest(_))),
                Source::File { .. } | Source::Http { .. } => false,
            }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path } => write!(f, "{}", path.display()),
            Self::Http { url } => f.write_str(url),
            Self::Oci { reference, .. } => f.write_str(reference),
        }
    }
}

/// Without the bytes, which would fill a log.
impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifact")
            .field("digest", &self.digest)
            .field("resolved", &self.resolved)
            .field("size", &self.bytes.len())
            .finish()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

//! Plugins: artifacts, what they may reach and how they are kept. Not how they are configured; that is a
//! `ChainFilter`.

mod capability;
mod limit;
mod source;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use capability::{Capability, CapabilityError};
pub use limit::Limits;
pub use source::{HttpSource, HttpSourceError, OciSource, OciSourceError, PluginSource, PullSecret};

/// Points into `Snapshot::plugins`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PluginIndex(pub usize);

/// A versioned Wasm artifact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plugin {
    /// `namespace/name` of the Plugin object, or `builtin/<name>`.
    pub name: String,
    /// Where its bytes come from.
    pub source: PluginSource,
    /// `sha256:<hex>` that the bytes must have, when pinned.
    pub digest: Option<String>,
    /// Who must have signed the bytes, when anyone.
    pub signature: Option<Signature>,
    /// The imports it may have. One that it has and that is not here refuses the plugin.
    pub capabilities: Vec<Capability>,
    /// What one call of it may use.
    pub limits: Limits,
    /// Whether an instance serves one exchange or many.
    pub isolation: Isolation,
    /// How a new version takes over.
    pub rollout: Rollout,
    /// When a warm instance is replaced.
    pub recycle: Recycle,
    /// The backends that its callouts may go to; no others.
    pub backends: Vec<GrantedBackend>,
}

/// Whose signature the bytes of a plugin must carry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    /// A public key as PEM text (`-----BEGIN PUBLIC KEY-----`). Its shape was checked, its algorithm was not.
    pub public_key: String,
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let body = text.trim().strip_prefix("-----BEGIN PUBLIC KEY-----");
        let body = body.and_then(|it| it.strip_suffix("-----END PUBLIC KEY-----"));
        let is_base64 = |it: &str| {
            it.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+/=\r\n\t ".contains(&b))
        };
        match body.filter(|it| !it.trim().is_empty() && is_base64(it)) {
            Some(_) => Ok(Self {
                public_key: text.to_owned(),
            }),
            None => Err(SignatureError),
        }
    }
}

/// Why a text is no public key. It never shows the text: a private key may have been put in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a public key in PEM; it starts with -----BEGIN PUBLIC KEY-----, as cosign.pub does")]
pub struct SignatureError;

/// Whether an instance serves one exchange or many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isolation {
    /// Instances are kept and used again.
    #[default]
    Warm,
    /// Each exchange has an instance of its own, which is thrown away after it.
    Fresh,
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warm => "warm",
            Self::Fresh => "fresh",
        })
    }
}

/// How a new version of a plugin takes over from the one that is live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rollout {
    /// It replaces the old one as soon as it is loaded and configured.
    #[default]
    Replace,
    /// It runs beside the old one without effect, and what they decide is compared.
    Shadow,
}

/// When a warm instance is replaced; whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recycle {
    /// After so many calls.
    pub calls: u32,
    /// After so long.
    pub age: Duration,
    /// When its memory was larger than this share of its limit after a call; 1 to 100.
    pub memory_percent: u8,
}

impl Recycle {
    /// The rule of a plugin that names none.
    pub const DEFAULT: Self = Self {
        calls: 100_000,
        age: Duration::from_secs(3600),
        memory_percent: 75,
    };
}

impl Default for Recycle {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A backend that callouts may go to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GrantedBackend {
    /// As the plugin calls it.
    pub name: String,
    /// The name of a cluster in `Snapshot::clusters`. Empty when the reference did not resolve: a callout
    /// to it fails.
    pub cluster: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_takes_a_public_key_and_nothing_else() {
        let key = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ==\n-----END PUBLIC KEY-----\n";
        assert_eq!(key.parse::<Signature>().unwrap().public_key, key);
        for bad in [
            "",
            "-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----",
            "-----BEGIN PRIVATE KEY-----\nMFkw\n-----END PRIVATE KEY-----",
            "-----BEGIN PUBLIC KEY-----\n<html>\n-----END PUBLIC KEY-----",
            "MFkw",
        ] {
            assert_eq!(bad.parse::<Signature>(), Err(SignatureError), "{bad:?}");
        }
    }
}

//! Plugin artifacts, what they may do and how much they may use.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

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
    /// The imports it may have. One that it has and that is not here refuses the plugin.
    pub capabilities: Vec<Capability>,
    /// What one call of it may use.
    pub limits: Limits,
}

/// Where a plugin's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PluginSource {
    /// Embedded in the gateway, by name.
    Builtin(String),
    /// A file, by absolute path; watched for changes.
    File(PathBuf),
}

/// A host interface that a plugin may import, with its arguments.
///
/// Written as `log`, `clock`, `random`, `environment`, `environment:NAME`, `sink:PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Capability {
    /// Lines in the gateway's own log.
    Log,
    /// Wall and monotonic time.
    Clock,
    /// Random numbers.
    Random,
    /// One variable of the process environment; without a name the import alone, which then shows none.
    Environment(Option<String>),
    /// One append-only output: `/dev/stdout`, `/dev/stderr` or an absolute file path.
    Sink(String),
}

impl Capability {
    /// The WIT interface of `weir:policy` that this grants.
    pub const fn interface(&self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Environment(_) => "environment",
            Self::Sink(_) => "sink",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log | Self::Clock | Self::Random | Self::Environment(None) => f.write_str(self.interface()),
            Self::Environment(Some(name)) => write!(f, "environment:{name}"),
            Self::Sink(path) => write!(f, "sink:{path}"),
        }
    }
}

impl FromStr for Capability {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        let (name, argument) = text.split_once(':').map_or((text, None), |(n, a)| (n, Some(a)));
        match (name, argument) {
            ("log", None) => Ok(Self::Log),
            ("clock", None) => Ok(Self::Clock),
            ("random", None) => Ok(Self::Random),
            ("environment", None) => Ok(Self::Environment(None)),
            ("environment", Some(name)) if !name.is_empty() => Ok(Self::Environment(Some(name.to_owned()))),
            ("sink", Some(path)) if path.starts_with('/') => Ok(Self::Sink(path.to_owned())),
            ("upstream" | "kv" | "metrics", _) => Err(CapabilityError::NotYet(name.to_owned())),
            _ => Err(CapabilityError::Unknown(text.to_owned())),
        }
    }
}

/// Why a capability's text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// No such capability, or its argument is missing or malformed.
    #[error(
        "unknown capability {0:?}; write log, clock, random, environment, environment:NAME or sink:/ABSOLUTE/PATH"
    )]
    Unknown(String),
    /// Part of the WIT package, but not offered by this version of the gateway.
    #[error("capability {0:?} is specified but not offered by this version of Weir")]
    NotYet(String),
}

/// What one call of a plugin may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Linear memory of one instance, in bytes.
    pub memory: u64,
    /// Time on the CPU of one call, host waits left out; measured by the clock, so a busy machine counts
    /// against it. Rounded up to the next epoch tick.
    pub deadline: Duration,
    /// Largest body held back for a `whole` body plan, in bytes.
    pub body: u64,
    /// Instances kept or running on one worker.
    pub instances: u32,
}

impl Limits {
    /// The limits of a plugin that names none.
    pub const DEFAULT: Self = Self {
        memory: 32 << 20,
        deadline: Duration::from_millis(50),
        body: 1 << 20,
        instances: 64,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

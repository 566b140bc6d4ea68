//! Filters and where they stand in a chain.

use std::fmt;
use std::str::FromStr;

use crate::{Capability, GrantedBackend, Isolation, Limits, PluginIndex};

/// Points into `Snapshot::filters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilterIndex(pub usize);

/// One configured use of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChainFilter {
    /// Unique in the snapshot; appears in logs, metrics and access logs.
    pub name: String,
    /// The artifact it runs.
    pub plugin: PluginIndex,
    /// The bytes handed to the plugin's `configure`.
    pub config: Vec<u8>,
    /// Where it stands in the chain.
    pub stage: Stage,
    /// What its failure does to the exchange.
    pub failure_mode: FailureMode,
    /// Capabilities with their arguments, a subset of the plugin's own.
    pub capabilities: Vec<Capability>,
    /// Limits of this use, never wider than the plugin's own.
    pub limits: Limits,
    /// Whether an instance serves one exchange or many; never warm where the plugin is fresh.
    pub isolation: Isolation,
    /// The backends that its callouts may go to; by name a subset of the plugin's own.
    pub backends: Vec<GrantedBackend>,
    /// The objects that asked for it, for people: `TrafficPolicy default/headers`.
    pub origin: Vec<String>,
}

/// What a filter's failure does to the exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FailureMode {
    /// The exchange is answered with an error.
    #[default]
    Closed,
    /// This filter alone is left out, for the rest of the exchange.
    Open,
}

impl fmt::Display for FailureMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
        })
    }
}

/// The stages of a chain, in the order in which requests pass them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "the names are the field's own; DESIGN and docs explain the order"
)]
pub enum Stage {
    Fault,
    Cors,
    Waf,
    Authn,
    Authz,
    RateLimit,
    #[default]
    Accepted,
    OutAuth,
    Route,
}

impl Stage {
    /// Every stage, first to last.
    pub const ALL: [Self; 9] = [
        Self::Fault,
        Self::Cors,
        Self::Waf,
        Self::Authn,
        Self::Authz,
        Self::RateLimit,
        Self::Accepted,
        Self::OutAuth,
        Self::Route,
    ];

    /// The name in documents and manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Cors => "cors",
            Self::Waf => "waf",
            Self::Authn => "authn",
            Self::Authz => "authz",
            Self::RateLimit => "ratelimit",
            Self::Accepted => "accepted",
            Self::OutAuth => "outauth",
            Self::Route => "route",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = UnknownStage;

    fn from_str(text: &str) -> Result<Self, UnknownStage> {
        Self::ALL
            .into_iter()
            .find(|stage| stage.as_str() == text)
            .ok_or_else(|| UnknownStage(text.to_owned()))
    }
}

/// A stage name that is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "unknown stage {0:?}; the stages are fault, cors, waf, authn, authz, ratelimit, accepted, outauth, route"
)]
pub struct UnknownStage(String);

//! What a plugin may do: the host interfaces it may import, with their arguments.

use std::fmt;
use std::str::FromStr;

/// A host interface that a plugin may import, with its arguments.
///
/// Written as `log`, `clock`, `random`, `environment`, `environment:NAME`, `sink:PATH`, `upstream`, `kv`,
/// `metrics`.
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
    /// Callouts, HTTP and gRPC, to the backends that are granted by name.
    Upstream,
    /// The plugin's own namespace of the key-value store.
    Kv,
    /// Metrics of its own.
    Metrics,
}

impl Capability {
    /// The WIT interface of `weir:policy` that it is named after.
    pub const fn interface(&self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Environment(_) => "environment",
            Self::Sink(_) => "sink",
            Self::Upstream => "upstream",
            Self::Kv => "kv",
            Self::Metrics => "metrics",
        }
    }

    /// Whether it lets a plugin import that interface of `weir:policy`.
    pub fn grants(&self, interface: &str) -> bool {
        self.interface() == interface || (*self == Self::Upstream && interface == "grpc")
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(Some(name)) => write!(f, "environment:{name}"),
            Self::Sink(path) => write!(f, "sink:{path}"),
            plain => f.write_str(plain.interface()),
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
            ("upstream", None) => Ok(Self::Upstream),
            ("kv", None) => Ok(Self::Kv),
            ("metrics", None) => Ok(Self::Metrics),
            _ => Err(CapabilityError::Unknown(text.to_owned())),
        }
    }
}

/// Why a capability's text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// No such capability, or its argument is missing, malformed or not taken.
    #[error(
        "unknown capability {0:?}; write log, clock, random, environment, environment:NAME, \
         sink:/ABSOLUTE/PATH, upstream, kv or metrics"
    )]
    Unknown(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_reads_what_it_writes() {
        for text in [
            "log",
            "clock",
            "random",
            "environment",
            "environment:HOME",
            "sink:/dev/stdout",
            "upstream",
            "kv",
            "metrics",
        ] {
            let capability: Capability = text.parse().unwrap();
            assert_eq!(capability.to_string(), text);
            assert!(capability.grants(capability.interface()), "{text}");
        }
    }

    #[test]
    fn arguments_stand_only_where_they_are_taken() {
        for bad in [
            "upstream:a",
            "kv:",
            "metrics:x",
            "log:a",
            "sink:a",
            "sink",
            "environment:",
            "",
        ] {
            let error = bad.parse::<Capability>().unwrap_err();
            assert_eq!(error, CapabilityError::Unknown(bad.to_owned()));
        }
    }

    #[test]
    fn callouts_are_one_grant_for_http_and_grpc() {
        assert!(Capability::Upstream.grants("grpc"));
        assert!(!Capability::Kv.grants("grpc"));
        assert!(!Capability::Upstream.grants("kv"));
    }
}

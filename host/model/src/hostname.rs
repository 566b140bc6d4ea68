//! Hostnames of listeners and routes (Gateway API `Hostname`): exact, or `*.` and a suffix.

use std::fmt;
use std::str::FromStr;

/// A hostname as Gateway API writes it. Always lower-case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hostname {
    /// Matches that host only.
    Exact(String),
    /// `*.suffix`: matches one or more labels before the suffix, never the suffix itself. Holds `.suffix`.
    Wildcard(String),
}

impl Hostname {
    /// Whether a request's host (lower-case, without port) is covered.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Wildcard(suffix) => {
                host.len() > suffix.len() && host.ends_with(suffix.as_str()) && !host.starts_with('.')
            }
        }
    }

    /// The hosts covered by both, or `None` when there are none.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Exact(a), _) if other.matches(a) => Some(self.clone()),
            (_, Self::Exact(b)) if self.matches(b) => Some(other.clone()),
            (Self::Wildcard(a), Self::Wildcard(b)) if a.ends_with(b.as_str()) => Some(self.clone()),
            (Self::Wildcard(a), Self::Wildcard(b)) if b.ends_with(a.as_str()) => Some(other.clone()),
            _ => None,
        }
    }

    /// Orders hostnames by precedence: more characters outside the wildcard first, then more characters.
    pub fn specificity(&self) -> (usize, usize) {
        match self {
            Self::Exact(name) => (name.len(), name.len()),
            Self::Wildcard(suffix) => (suffix.len(), suffix.len() + 1),
        }
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*{suffix}"),
        }
    }
}

impl FromStr for Hostname {
    type Err = HostnameError;

    fn from_str(text: &str) -> Result<Self, HostnameError> {
        let name = text.to_ascii_lowercase();
        let host = name.strip_prefix("*.").unwrap_or(&name);
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if name.len() > 253 || !host.split('.').all(label) {
            return Err(HostnameError::Malformed(text.to_owned()));
        }
        if host.parse::<std::net::IpAddr>().is_ok() {
            return Err(HostnameError::Address(text.to_owned()));
        }
        Ok(match name.strip_prefix('*') {
            Some(suffix) => Self::Wildcard(suffix.to_owned()),
            None => Self::Exact(name),
        })
    }
}

/// Why a hostname is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostnameError {
    /// Not a DNS name with an optional leading `*.`.
    #[error("{0:?} is not a hostname: use letters, digits and '-' in labels, with at most one leading '*.'")]
    Malformed(String),
    /// Gateway API allows no addresses here.
    #[error("{0:?} is an IP address; a hostname is required")]
    Address(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Hostname {
        text.parse().unwrap()
    }

    #[test]
    fn a_wildcard_covers_several_labels_but_not_the_apex() {
        assert!(host("*.example.com").matches("a.example.com"));
        assert!(host("*.example.com").matches("a.b.example.com"));
        assert!(!host("*.example.com").matches("example.com"));
        assert!(
            !host("*.example.com").matches(".example.com"),
            "no label stands before the suffix"
        );
        assert!(!host("*.example.com").matches("badexample.com"));
    }

    #[test]
    fn the_intersection_is_the_narrower_one() {
        let check = |a: &str, b: &str, expect: Option<&str>| {
            assert_eq!(host(a).intersect(&host(b)), expect.map(host), "{a} ∩ {b}");
            assert_eq!(host(b).intersect(&host(a)), expect.map(host), "{b} ∩ {a}");
        };
        check("a.example.com", "*.example.com", Some("a.example.com"));
        check("*.a.example.com", "*.example.com", Some("*.a.example.com"));
        check("example.com", "*.example.com", None);
        check("*.example.com", "*.example.org", None);
        check("a.example.com", "a.example.com", Some("a.example.com"));
    }

    #[test]
    fn case_is_folded_and_bad_names_are_refused() {
        assert_eq!(host("WWW.Example.COM"), host("www.example.com"));
        for bad in ["", "*", "a..b", "-a.b", "a b", "*.*.com", "10.0.0.1", "a.*.com"] {
            assert!(bad.parse::<Hostname>().is_err(), "{bad:?} was accepted");
        }
    }
}

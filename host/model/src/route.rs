//! Routes: what is matched, and where it goes.

mod matcher;

use crate::{ClusterIndex, FilterIndex, Hostname};

pub use matcher::{MatchQuery, PathPattern, Pattern, RouteTable, ValuePattern};

/// Points into `Snapshot::routes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteIndex(pub usize);

/// One rule of a route, flattened: its matches share one chain and one set of backends.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// `namespace/route/rule`.
    pub name: String,
    /// The hostnames as the route wrote them; they rank. Empty stands for all hosts.
    pub hostnames: Vec<Hostname>,
    /// Alternatives; one is enough. Never empty.
    pub matches: Vec<RouteMatch>,
    /// Filters of this rule, run after the listener's.
    pub chain: Vec<FilterIndex>,
    /// Where matching requests go. Empty: nothing to forward to (500 unless a filter replied).
    pub backends: Vec<Backend>,
}

/// A share of a rule's traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Who answers it.
    pub target: BackendTarget,
    /// Its share is `weight` of the sum of all weights; 0 takes no traffic.
    pub weight: u32,
}

impl Backend {
    /// The cluster to forward to, when it is one.
    pub const fn cluster(&self) -> Option<ClusterIndex> {
        match self.target {
            BackendTarget::Cluster(index) => Some(index),
            BackendTarget::Plugin(_) | BackendTarget::Unresolved => None,
        }
    }
}

/// Who answers a share of a rule's traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendTarget {
    /// An upstream.
    Cluster(ClusterIndex),
    /// A plugin that is a terminal handler; the filter is its configured use.
    Plugin(FilterIndex),
    /// Nobody: the reference did not resolve, and its share is answered with 500 (Gateway API).
    Unresolved,
}

/// A conjunction of conditions on the request head.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteMatch {
    /// The path condition.
    pub path: PathPattern,
    /// The method, when one is required.
    pub method: Option<http::Method>,
    /// Header conditions; the first field of a name counts.
    pub headers: Vec<(http::HeaderName, ValuePattern)>,
    /// Query conditions; the first parameter of a name counts.
    pub query: Vec<(String, ValuePattern)>,
}

//! Upstreams: clusters and their endpoints.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Points into `Snapshot::clusters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterIndex(pub usize);

/// The live set of addresses behind one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// `kind/namespace/name/port`.
    pub name: String,
    /// Empty means that nothing is ready: requests are answered with 503.
    pub endpoints: Vec<Endpoint>,
}

/// One address of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// An address, or a name that is resolved when a connection is opened.
    pub host: Host,
    /// The port to connect to.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(ip) => SocketAddr::new(*ip, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// The host part of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IP address.
    Address(IpAddr),
    /// A DNS name.
    Name(String),
}

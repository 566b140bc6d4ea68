//! Where the gateway accepts traffic.

use std::net::IpAddr;

use crate::{FilterIndex, Hostname, RouteIndex};

/// One listener of a Gateway. Several may share a port; then the most specific hostname wins
/// (Gateway API, "Listener isolation").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// `namespace/gateway/listener`.
    pub name: String,
    /// The address to bind.
    pub address: IpAddr,
    /// The port to bind; 0 lets the system choose (tests).
    pub port: u16,
    /// The hosts this listener serves; `None` serves all.
    pub hostname: Option<Hostname>,
    /// Filters that run on every exchange of this listener, routed or not.
    pub chain: Vec<FilterIndex>,
    /// The routes attached here, each with the hostnames left after intersecting with the listener's.
    pub routes: Vec<RouteIndex>,
}

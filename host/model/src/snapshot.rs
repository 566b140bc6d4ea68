//! A whole, valid configuration of one gateway.

use crate::{ChainFilter, Cluster, Listener, Plugin, Revision, Route};

/// A valid configuration. The indexes inside point into the vectors of the same snapshot, which lowering
/// guarantees; nothing outside `weir-config` should build one with dangling indexes.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The content hash of the document this was lowered from.
    pub revision: Revision,
    /// The Gateway this configuration belongs to, as `namespace/name`.
    pub gateway: String,
    /// Whether responses of our own say why in a header. Off unless asked for: it tells clients about the
    /// inside.
    pub detail_header: bool,
    /// Where we accept.
    pub listeners: Vec<Listener>,
    /// The rules of all routes, in tie-break order: older route first, then name, then rule order.
    pub routes: Vec<Route>,
    /// Every configured use of a plugin.
    pub filters: Vec<ChainFilter>,
    /// The artifacts that filters use.
    pub plugins: Vec<Plugin>,
    /// The upstreams that routes and callouts name.
    pub clusters: Vec<Cluster>,
}

//! A snapshot made live: compiled route tables and prepared chains, immutable and swapped whole.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use weir_filter::{Chain, Configured, ConnectionChain, Handler, Step};
use weir_model::route::{MatchQuery, RouteTable};
use weir_model::{
    Backend, Cluster, ClusterIndex, Endpoint, FilterIndex, Hostname, Listener, Revision, Route, RouteIndex,
    Snapshot,
};

use crate::place;

/// What requests are handled by. A request reads one plan from start to end.
#[derive(Debug)]
pub struct Plan {
    revision: Revision,
    shows_reasons: bool,
    sockets: Vec<Socket>,
    clusters: Vec<PlanCluster>,
    /// By the index of the filter that they are made of.
    handlers: HashMap<FilterIndex, Arc<PlanHandler>>,
    /// For callouts, which name their clusters.
    cluster_names: HashMap<Arc<str>, ClusterIndex>,
}

/// All listeners behind one socket.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) address: SocketAddr,
    /// Most specific hostname first.
    listeners: Vec<PlanListener>,
    /// For its connections; `None` when nothing filters them.
    connections: Option<Arc<ConnectionChain>>,
}

/// A listener with its routes.
#[derive(Debug)]
pub(crate) struct PlanListener {
    pub(crate) name: Arc<str>,
    hostname: Option<Hostname>,
    table: RouteTable,
    /// For exchanges that no route takes.
    chain: Chain,
    routes: Vec<PlanRoute>,
}

/// A route as one listener sees it.
#[derive(Debug)]
pub(crate) struct PlanRoute {
    pub(crate) name: Arc<str>,
    /// The listener's filters, then the route's.
    chain: Chain,
    pub(crate) backends: Vec<Backend>,
    pub(crate) weight: u64,
}

/// A plugin that answers in place of an upstream.
#[derive(Debug)]
pub(crate) struct PlanHandler {
    pub(crate) name: Arc<str>,
    pub(crate) handler: Arc<dyn Handler>,
}

/// An upstream.
#[derive(Debug)]
pub(crate) struct PlanCluster {
    pub(crate) name: Arc<str>,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// Where in a plan an exchange is: which listener, and which of its routes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    socket: usize,
    listener: usize,
    route: Option<usize>,
}

impl Plan {
    /// Prepares a snapshot. `filters` are those of `Snapshot::filters`, in its order: a handler for what a rule names
    /// as its backend, a filter for all else. Filters on connections count in listeners' chains only;
    /// [`crate::misplaced`] finds the others.
    pub fn build<F: Clone + Into<Configured>>(snapshot: &Snapshot, filters: &[F]) -> Self {
        let filters: Vec<Configured> = filters.iter().cloned().map(Into::into).collect();
        let filters = filters.as_slice();
        let mut sockets: Vec<Socket> = Vec::new();
        for listener in &snapshot.listeners {
            let address = SocketAddr::new(listener.address, listener.port);
            let prepared = PlanListener::build(listener, snapshot, filters);
            match sockets.iter_mut().find(|socket| socket.address == address) {
                Some(socket) => socket.listeners.push(prepared),
                None => sockets.push(Socket {
                    address,
                    listeners: vec![prepared],
                    connections: None,
                }),
            }
        }
        for socket in &mut sockets {
            let here = |it: &&Listener| SocketAddr::new(it.address, it.port) == socket.address;
            let listeners: Vec<_> = snapshot.listeners.iter().filter(here).collect();
            let chain = place::connection_chain(&listeners, snapshot, filters);
            socket.connections = (!chain.is_empty()).then(|| Arc::new(chain));
        }
        for socket in &mut sockets {
            socket
                .listeners
                .sort_by_key(|it| std::cmp::Reverse(it.hostname.as_ref().map(Hostname::specificity)));
        }
        let clusters: Vec<_> = snapshot.clusters.iter().map(PlanCluster::build).collect();
        let cluster_names = clusters
            .iter()
            .enumerate()
            .map(|(at, cluster)| (Arc::clone(&cluster.name), ClusterIndex(at)));
        Self {
            revision: snapshot.revision,
            shows_reasons: snapshot.detail_header,
            sockets,
            cluster_names: cluster_names.collect(),
            clusters,
            handlers: handlers(filters),
        }
    }

    /// A plan that accepts nothing: what a fleet starts with.
    pub fn empty() -> Self {
        Self {
            revision: Revision::from_digest([0; 8]),
            shows_reasons: false,
            sockets: Vec::new(),
            clusters: Vec::new(),
            handlers: HashMap::new(),
            cluster_names: HashMap::new(),
        }
    }

    /// The revision of the snapshot.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// True when replies of the gateway itself say why in a field.
    pub(crate) const fn shows_reasons(&self) -> bool {
        self.shows_reasons
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.sockets.iter().map(|socket| socket.address)
    }

    pub(crate) fn clusters(&self) -> &[PlanCluster] {
        &self.clusters
    }

    pub(crate) fn cluster_named(&self, name: &str) -> Option<ClusterIndex> {
        self.cluster_names.get(name).copied()
    }

    pub(crate) fn handler(&self, index: FilterIndex) -> Option<&Arc<PlanHandler>> {
        self.handlers.get(&index)
    }

    /// The position of the socket with that configured address.
    pub(crate) fn socket(&self, address: SocketAddr) -> Option<usize> {
        self.sockets.iter().position(|socket| socket.address == address)
    }

    /// What filters the connections of the socket with that configured address.
    pub(crate) fn connection_chain(&self, address: SocketAddr) -> Option<Arc<ConnectionChain>> {
        self.sockets.get(self.socket(address)?)?.connections.clone()
    }

    /// The listener for a request's host on a socket, and the route there.
    pub(crate) fn find(&self, socket: usize, query: &MatchQuery<'_>) -> Option<Place> {
        let listeners = &self.sockets.get(socket)?.listeners;
        let (at, listener) = listeners
            .iter()
            .enumerate()
            .find(|(_, it)| it.serves(query.host))?;
        Some(Place {
            socket,
            listener: at,
            route: listener.table.find(query).map(|RouteIndex(index)| index),
        })
    }

    /// The listener that logs a request which no listener takes: the one for its host, else the least
    /// specific one of the socket.
    pub(crate) fn witness(&self, socket: usize, host: &str) -> Option<Place> {
        let listeners = &self.sockets.get(socket)?.listeners;
        let last = listeners.len().checked_sub(1)?;
        let listener = listeners.iter().position(|it| it.serves(host)).unwrap_or(last);
        Some(Place {
            socket,
            listener,
            route: None,
        })
    }

    pub(crate) fn listener(&self, place: Place) -> Option<&PlanListener> {
        self.sockets.get(place.socket)?.listeners.get(place.listener)
    }

    pub(crate) fn route(&self, place: Place) -> Option<&PlanRoute> {
        self.listener(place)?.routes.get(place.route?)
    }

    pub(crate) fn chain(&self, place: Place) -> Option<&Chain> {
        match place.route {
            Some(_) => self.route(place).map(|route| &route.chain),
            None => self.listener(place).map(|listener| &listener.chain),
        }
    }
}

impl PlanListener {
    fn serves(&self, host: &str) -> bool {
        self.hostname.as_ref().is_none_or(|name| name.matches(host))
    }

    fn build(listener: &Listener, snapshot: &Snapshot, filters: &[Configured]) -> Self {
        let attached: Vec<&Route> = listener
            .routes
            .iter()
            .filter_map(|RouteIndex(index)| snapshot.routes.get(*index))
            .collect();
        let steps = |chain: &[FilterIndex]| -> Vec<Step> {
            let step = |FilterIndex(index): &FilterIndex| {
                let failure_mode = snapshot.filters.get(*index)?.failure_mode;
                // Filters on connections stand in the socket's chain, background work in none.
                let Configured::Filter(filter) = filters.get(*index)? else {
                    return None;
                };
                Some(Step {
                    filter: Arc::clone(filter),
                    failure_mode,
                })
            };
            chain.iter().filter_map(step).collect()
        };
        let own = steps(&listener.chain);
        let route = |route: &&Route| PlanRoute {
            name: route.name.as_str().into(),
            chain: Chain::new(own.iter().cloned().chain(steps(&route.chain)).collect()),
            backends: route.backends.clone(),
            weight: route
                .backends
                .iter()
                .map(|backend| u64::from(backend.weight))
                .sum(),
        };
        Self {
            name: listener.name.as_str().into(),
            hostname: listener.hostname.clone(),
            // The table answers with positions in `routes` below.
            table: RouteTable::build(
                listener.hostname.as_ref(),
                attached
                    .iter()
                    .enumerate()
                    .map(|(at, route)| (RouteIndex(at), *route)),
            ),
            routes: attached.iter().map(route).collect(),
            chain: Chain::new(own),
        }
    }
}

impl PlanRoute {
    /// The backend that a point in `0..weight` falls on.
    pub(crate) fn backend_at(&self, mut point: u64) -> Option<Backend> {
        self.backends.iter().copied().find(|backend| {
            let weight = u64::from(backend.weight);
            let here = point < weight;
            point = point.saturating_sub(weight);
            here
        })
    }
}

impl PlanCluster {
    fn build(cluster: &Cluster) -> Self {
        Self {
            name: cluster.name.as_str().into(),
            endpoints: cluster.endpoints.clone(),
        }
    }
}

fn handlers(filters: &[Configured]) -> HashMap<FilterIndex, Arc<PlanHandler>> {
    let handler = |(at, configured): (usize, &Configured)| match configured {
        Configured::Filter(_) | Configured::Connection(_) | Configured::Background => None,
        Configured::Handler(handler) => {
            let prepared = PlanHandler {
                name: handler.name().into(),
                handler: Arc::clone(handler),
            };
            Some((FilterIndex(at), Arc::new(prepared)))
        }
    };
    filters.iter().enumerate().filter_map(handler).collect()
}

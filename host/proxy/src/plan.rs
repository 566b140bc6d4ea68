//! A snapshot made live: compiled route tables and prepared chains, immutable and swapped whole.

use std::net::SocketAddr;
use std::sync::Arc;

use weir_filter::{Chain, Filter, Step};
use weir_model::route::{MatchQuery, RouteTable};
use weir_model::{
    Backend, Cluster, Endpoint, FilterIndex, Hostname, Listener, Revision, Route, RouteIndex, Snapshot,
};

/// What requests are handled by. A request reads one plan from start to end.
#[derive(Debug)]
pub struct Plan {
    revision: Revision,
    sockets: Vec<Socket>,
    clusters: Vec<PlanCluster>,
}

/// All listeners behind one socket.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) address: SocketAddr,
    /// Most specific hostname first.
    listeners: Vec<PlanListener>,
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
    /// Prepares a snapshot. `filters` are those of `Snapshot::filters`, in its order.
    pub fn build(snapshot: &Snapshot, filters: &[Arc<dyn Filter>]) -> Self {
        let mut sockets: Vec<Socket> = Vec::new();
        for listener in &snapshot.listeners {
            let address = SocketAddr::new(listener.address, listener.port);
            let prepared = PlanListener::build(listener, snapshot, filters);
            match sockets.iter_mut().find(|socket| socket.address == address) {
                Some(socket) => socket.listeners.push(prepared),
                None => sockets.push(Socket {
                    address,
                    listeners: vec![prepared],
                }),
            }
        }
        for socket in &mut sockets {
            socket
                .listeners
                .sort_by_key(|it| std::cmp::Reverse(it.hostname.as_ref().map(Hostname::specificity)));
        }
        Self {
            revision: snapshot.revision,
            sockets,
            clusters: snapshot.clusters.iter().map(PlanCluster::build).collect(),
        }
    }

    /// A plan that accepts nothing: what a fleet starts with.
    pub fn empty() -> Self {
        Self {
            revision: Revision::from_digest([0; 8]),
            sockets: Vec::new(),
            clusters: Vec::new(),
        }
    }

    /// The revision of the snapshot.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.sockets.iter().map(|socket| socket.address)
    }

    pub(crate) fn clusters(&self) -> &[PlanCluster] {
        &self.clusters
    }

    /// The position of the socket with that configured address.
    pub(crate) fn socket(&self, address: SocketAddr) -> Option<usize> {
        self.sockets.iter().position(|socket| socket.address == address)
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

    fn build(listener: &Listener, snapshot: &Snapshot, filters: &[Arc<dyn Filter>]) -> Self {
        let attached: Vec<&Route> = listener
            .routes
            .iter()
            .filter_map(|RouteIndex(index)| snapshot.routes.get(*index))
            .collect();
        let steps = |chain: &[FilterIndex]| -> Vec<Step> {
            let step = |FilterIndex(index): &FilterIndex| {
                let failure_mode = snapshot.filters.get(*index)?.failure_mode;
                Some(Step {
                    filter: Arc::clone(filters.get(*index)?),
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

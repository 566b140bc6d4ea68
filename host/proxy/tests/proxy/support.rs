//! A proxy in this process: a snapshot in, an address out.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Runtime;
use weir_filter::{
    Action, Call, Chunk, Configured, ConnectionFilter, Exchange, FailureReason, Filter, FilterError,
    Finished, Handler, Phase, Phases, Progress,
};
use weir_harness::Client;
use weir_model::route::{PathPattern, RouteMatch};
use weir_model::{
    Backend, BackendTarget, ChainFilter, Cluster, ClusterIndex, Endpoint, FailureMode, FilterIndex, Host,
    Isolation, Limits, Listener, PluginIndex, Revision, Route, RouteIndex, Snapshot, Stage,
};
use weir_proxy::{BindError, Fleet, FleetConfig, Plan};

/// A running proxy with one worker.
pub(crate) struct Proxy {
    fleet: Option<Fleet>,
    runtime: Runtime,
    pub(crate) address: SocketAddr,
}

impl Proxy {
    pub(crate) fn start(setup: Setup) -> Self {
        Self::with(
            &FleetConfig {
                workers: 1,
                ..FleetConfig::default()
            },
            setup,
        )
    }

    pub(crate) fn with(config: &FleetConfig, setup: Setup) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut proxy = Self {
            fleet: Some(Fleet::start(config).unwrap()),
            runtime,
            address: listen(),
        };
        proxy.apply(setup);
        proxy.address = proxy.fleet.as_ref().unwrap().bound(listen()).unwrap();
        proxy
    }

    pub(crate) fn apply(&mut self, setup: Setup) {
        self.try_apply(setup).unwrap();
    }

    pub(crate) fn try_apply(&mut self, setup: Setup) -> Result<(), BindError> {
        let plan = Plan::build(&setup.snapshot, &setup.filters);
        self.runtime
            .block_on(self.fleet.as_mut().unwrap().apply(Arc::new(plan)))
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn drain(mut self, grace: Duration) {
        self.runtime.block_on(self.fleet.take().unwrap().drain(grace));
    }
}

fn listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// A snapshot in the making: one listener, routes in order.
pub(crate) struct Setup {
    pub(crate) snapshot: Snapshot,
    filters: Vec<Configured>,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let listener = Listener {
            name: "test".to_owned(),
            address: listen().ip(),
            port: 0,
            hostname: None,
            chain: Vec::new(),
            routes: Vec::new(),
        };
        let snapshot = Snapshot {
            revision: Revision::from_digest([1; 8]),
            gateway: "default/test".to_owned(),
            detail_header: false,
            listeners: vec![listener],
            routes: Vec::new(),
            filters: Vec::new(),
            plugins: Vec::new(),
            clusters: Vec::new(),
        };
        Self {
            snapshot,
            filters: Vec::new(),
        }
    }

    /// One route for everything, to one origin.
    pub(crate) fn to(origin: SocketAddr) -> Self {
        Self::new().route("/", &[(Some(&[origin]), 1)])
    }

    pub(crate) fn route(mut self, prefix: &str, backends: &[(Option<&[SocketAddr]>, u32)]) -> Self {
        let clusters = &mut self.snapshot.clusters;
        let backends = backends.iter().map(|(addresses, weight)| {
            let target = addresses.map_or(BackendTarget::Unresolved, |addresses| {
                let endpoint = |at: &SocketAddr| Endpoint {
                    host: Host::Address(at.ip()),
                    port: at.port(),
                };
                let name = format!("cluster-{}", clusters.len());
                clusters.push(Cluster {
                    name,
                    endpoints: addresses.iter().map(endpoint).collect(),
                });
                BackendTarget::Cluster(ClusterIndex(clusters.len() - 1))
            });
            Backend {
                target,
                weight: *weight,
            }
        });
        let route = Route {
            name: format!("route{prefix}"),
            hostnames: Vec::new(),
            matches: vec![RouteMatch {
                path: PathPattern::prefix(prefix),
                method: None,
                headers: Vec::new(),
                query: Vec::new(),
            }],
            chain: Vec::new(),
            backends: backends.collect(),
        };
        self.snapshot.listeners[0]
            .routes
            .push(RouteIndex(self.snapshot.routes.len()));
        self.snapshot.routes.push(route);
        self
    }

    /// Adds a cluster that only callouts use.
    pub(crate) fn cluster(mut self, name: &str, endpoints: &[SocketAddr]) -> Self {
        let endpoint = |at: &SocketAddr| Endpoint {
            host: Host::Address(at.ip()),
            port: at.port(),
        };
        self.snapshot.clusters.push(Cluster {
            name: name.to_owned(),
            endpoints: endpoints.iter().map(endpoint).collect(),
        });
        self
    }

    /// Adds a filter to the newest route's chain.
    pub(crate) fn filter(self, filter: impl Filter + 'static) -> Self {
        self.filter_with(filter, FailureMode::Closed)
    }

    pub(crate) fn filter_with(mut self, filter: impl Filter + 'static, failure_mode: FailureMode) -> Self {
        let index = self.add(filter, failure_mode);
        self.snapshot.routes.last_mut().unwrap().chain.push(index);
        self
    }

    /// Adds a filter to the listener's chain.
    pub(crate) fn listener_filter(mut self, filter: impl Filter + 'static) -> Self {
        let index = self.add(filter, FailureMode::Closed);
        self.snapshot.listeners[0].chain.push(index);
        self
    }

    /// Lets a handler answer a share of the newest route.
    pub(crate) fn handled(mut self, handler: impl Handler + 'static, weight: u32) -> Self {
        let name = handler.name().to_owned();
        let handler: Arc<dyn Handler> = Arc::new(handler);
        let index = self.configure(name, FailureMode::Closed, handler.into());
        let target = BackendTarget::Plugin(index);
        let route = self.snapshot.routes.last_mut().unwrap();
        route.backends.push(Backend { target, weight });
        self
    }

    /// Adds a connection filter to the newest listener's chain.
    pub(crate) fn connection_filter(mut self, filter: impl ConnectionFilter + 'static) -> Self {
        let name = filter.name().to_owned();
        let filter: Arc<dyn ConnectionFilter> = Arc::new(filter);
        let index = self.configure(name, FailureMode::Closed, filter.into());
        self.snapshot.listeners.last_mut().unwrap().chain.push(index);
        self
    }

    pub(crate) fn filters(&self) -> &[Configured] {
        &self.filters
    }

    fn add(&mut self, filter: impl Filter + 'static, failure_mode: FailureMode) -> FilterIndex {
        let name = filter.name().to_owned();
        let filter: Arc<dyn Filter> = Arc::new(filter);
        self.configure(name, failure_mode, filter.into())
    }

    fn configure(&mut self, name: String, failure_mode: FailureMode, configured: Configured) -> FilterIndex {
        self.snapshot.filters.push(ChainFilter {
            name,
            plugin: PluginIndex(0),
            config: Vec::new(),
            stage: Stage::Accepted,
            failure_mode,
            capabilities: Vec::new(),
            limits: Limits::DEFAULT,
            isolation: Isolation::Warm,
            backends: Vec::new(),
            origin: Vec::new(),
        });
        self.filters.push(configured);
        FilterIndex(self.filters.len() - 1)
    }
}

/// A head phase.
pub(crate) type Head = Box<dyn Fn(&mut Exchange) -> Result<Action, FilterError> + Send + Sync>;
type Piece = Box<dyn Fn(&mut Exchange, &Bytes, bool) -> Result<Action, FilterError> + Send + Sync>;
type Log = Box<dyn Fn(&mut Exchange) + Send + Sync>;

/// A filter made of closures.
#[derive(Default)]
pub(crate) struct Native {
    pub(crate) request_head: Option<Head>,
    pub(crate) request_body: Option<Piece>,
    pub(crate) request_trailers: Option<Head>,
    pub(crate) response_head: Option<Head>,
    pub(crate) response_body: Option<Piece>,
    pub(crate) response_trailers: Option<Head>,
    pub(crate) log: Option<Log>,
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Native")
    }
}

impl Filter for Native {
    fn name(&self) -> &str {
        "native"
    }

    fn phases(&self) -> Phases {
        let mut phases = Phases::empty();
        phases.set(Phases::REQUEST_HEAD, self.request_head.is_some());
        phases.set(Phases::REQUEST_BODY, self.request_body.is_some());
        phases.set(Phases::RESPONSE_HEAD, self.response_head.is_some());
        phases.set(Phases::RESPONSE_BODY, self.response_body.is_some());
        phases.set(Phases::REQUEST_TRAILERS, self.request_trailers.is_some());
        phases.set(Phases::RESPONSE_TRAILERS, self.response_trailers.is_some());
        phases.set(Phases::LOG, self.log.is_some());
        phases
    }

    fn count_failure(&self, _: FailureReason) {}

    fn call(&self, call: Call, _: &mut Context<'_>) -> Progress {
        let Call {
            phase,
            mut exchange,
            kept,
        } = call;
        let it = &mut exchange;
        let result = match &phase {
            Phase::RequestHead => self.request_head.as_ref().unwrap()(it),
            Phase::RequestBody(Chunk { bytes, end }) => self.request_body.as_ref().unwrap()(it, bytes, *end),
            Phase::RequestTrailers => self.request_trailers.as_ref().unwrap()(it),
            Phase::ResponseHead => self.response_head.as_ref().unwrap()(it),
            Phase::ResponseBody(Chunk { bytes, end }) => {
                self.response_body.as_ref().unwrap()(it, bytes, *end)
            }
            Phase::ResponseTrailers => self.response_trailers.as_ref().unwrap()(it),
            Phase::Log => {
                self.log.as_ref().unwrap()(it);
                Ok(Action::Next)
            }
        };
        Progress::Done(Finished {
            exchange,
            kept,
            result,
        })
    }
}

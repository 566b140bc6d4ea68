//! A fleet with the guests of `tests/guests` loaded, wired as a gateway wires it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use weir_gateway::{BackgroundTask, BackgroundThread};
use weir_harness::Client;
use weir_kv::Store;
use weir_model::route::{PathPattern, RouteMatch};
use weir_model::{
    Backend, BackendTarget, Capability, ChainFilter, Cluster, ClusterIndex, Endpoint, FailureMode,
    FilterIndex, GrantedBackend, Host, Isolation, Limits, Listener, Plugin, PluginIndex, PluginSource,
    Recycle, Revision, Rollout, Route, RouteIndex, Snapshot, Stage,
};
use weir_proxy::{Fleet, FleetConfig, Plan, misplaced};
use weir_runtime::{EngineConfig, Runtime, RuntimeConfig, Sink, SinkError, SinkOpener};
use weir_telemetry::Registry;

/// A running fleet with one worker.
pub(crate) struct Site {
    runtime: Runtime,
    tokio: tokio::runtime::Runtime,
    pub(crate) fleet: Fleet,
    thread: BackgroundThread,
    pub(crate) store: Arc<Store>,
    records: Arc<Records>,
    pub(crate) tasks: Vec<BackgroundTask>,
}

/// A filter to be: the guest, its words, and where its backend `keys` is.
pub(crate) struct Wanted<'a> {
    pub(crate) guest: &'static str,
    pub(crate) config: &'a str,
    pub(crate) backend: Option<SocketAddr>,
}

/// Keeps what is written.
#[derive(Debug, Default)]
pub(crate) struct Records(Mutex<Vec<String>>);

struct Opener(Arc<Records>);

impl SinkOpener for Opener {
    fn open(&self, _: &str) -> io::Result<Arc<dyn Sink>> {
        Ok(self.0.clone())
    }
}

impl Sink for Records {
    fn write(&self, record: &[u8]) -> Result<(), SinkError> {
        let record = String::from_utf8_lossy(record).into_owned();
        self.0.lock().unwrap().push(record);
        Ok(())
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        let store = Arc::new(Store::new());
        let records = Arc::<Records>::default();
        let runtime = runtime(&store, Arc::clone(&records));
        let config = FleetConfig {
            workers: 1,
            ..FleetConfig::default()
        };
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            runtime,
            tokio: tokio.unwrap(),
            fleet: Fleet::start(&config).unwrap(),
            thread: BackgroundThread::start().unwrap(),
            store,
            records,
            tasks: Vec::new(),
        }
    }

    /// Serves everything by one route to `origin`, with these filters in the listener's chain.
    pub(crate) fn serve(&mut self, origin: SocketAddr, wanted: &[Wanted<'_>]) {
        let snapshot = snapshot(origin, wanted);
        let configured = wanted.iter().enumerate().map(|(at, it)| {
            let loaded = self.runtime.load(&snapshot.plugins[at], &guest(it.guest));
            let configured = loaded.unwrap().configure(&snapshot.filters[at]);
            configured.unwrap_or_else(|error| panic!("{error}"))
        });
        let (filters, backgrounds): (Vec<_>, Vec<_>) =
            configured.map(|it| (it.filter, it.background)).unzip();
        assert_eq!(misplaced(&snapshot, &filters), []);
        let plan = Arc::new(Plan::build(&snapshot, &filters));
        self.tokio.block_on(async {
            self.fleet.prepare(&plan).await;
            let mut tasks = Vec::new();
            for background in backgrounds.into_iter().flatten() {
                let callouts = self.fleet.callouts();
                tasks.push(self.thread.begin(background, callouts).await);
            }
            for task in &mut tasks {
                task.started().await;
            }
            self.fleet.apply(plan).await.unwrap();
            self.tasks = tasks;
        });
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.fleet.bound(listen()).unwrap()
    }

    pub(crate) fn records(&self) -> Vec<String> {
        self.records.0.lock().unwrap().clone()
    }
}

/// A runtime that keeps what plugins write and store.
pub(crate) fn runtime(store: &Arc<Store>, records: Arc<Records>) -> Runtime {
    let runtime = Runtime::new(RuntimeConfig {
        engine: EngineConfig::small(),
        cache_dir: None,
        sinks: Arc::new(Opener(records)),
        environment: Arc::new(HashMap::new()),
        store: Arc::clone(store),
        registry: Registry::new(),
    });
    runtime.unwrap()
}

/// A number that a plugin stored.
pub(crate) fn stored(store: &Store, plugin: &str, key: &str) -> Option<u32> {
    let namespace = store.namespace(plugin, Limits::DEFAULT.kv_bytes);
    let entry = namespace.get(key, Instant::now())?;
    String::from_utf8_lossy(&entry.value).parse().ok()
}

fn listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

pub(crate) fn guest(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/wasm/tests/{name}.wasm"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask plugins`", path.display()))
}

pub(crate) fn snapshot(origin: SocketAddr, wanted: &[Wanted<'_>]) -> Snapshot {
    let mut clusters = vec![cluster("origin".to_owned(), origin)];
    let (mut plugins, mut filters) = (Vec::new(), Vec::new());
    for (at, wanted) in wanted.iter().enumerate() {
        let mut backends = Vec::new();
        if let Some(address) = wanted.backend {
            clusters.push(cluster(format!("keys-{at}"), address));
            backends.push(GrantedBackend {
                name: "keys".to_owned(),
                cluster: format!("keys-{at}"),
            });
        }
        let plugin = plugin(wanted.guest, backends);
        filters.push(filter(at, wanted, &plugin));
        plugins.push(plugin);
    }
    Snapshot {
        revision: Revision::from_digest([1; 8]),
        gateway: "default/test".to_owned(),
        detail_header: false,
        listeners: vec![Listener {
            name: "default/test/http".to_owned(),
            address: listen().ip(),
            port: 0,
            hostname: None,
            chain: (0..filters.len()).map(FilterIndex).collect(),
            routes: vec![RouteIndex(0)],
        }],
        routes: vec![route()],
        filters,
        plugins,
        clusters,
    }
}

fn cluster(name: String, address: SocketAddr) -> Cluster {
    Cluster {
        name,
        endpoints: vec![Endpoint {
            host: Host::Address(address.ip()),
            port: address.port(),
        }],
    }
}

fn route() -> Route {
    Route {
        name: "all".to_owned(),
        hostnames: Vec::new(),
        matches: vec![RouteMatch {
            path: PathPattern::prefix("/"),
            method: None,
            headers: Vec::new(),
            query: Vec::new(),
        }],
        chain: Vec::new(),
        backends: vec![Backend {
            target: BackendTarget::Cluster(ClusterIndex(0)),
            weight: 1,
        }],
    }
}

fn plugin(guest: &str, backends: Vec<GrantedBackend>) -> Plugin {
    Plugin {
        name: format!("test/{guest}"),
        source: PluginSource::File(PathBuf::from(format!("/{guest}.wasm"))),
        digest: None,
        signature: None,
        capabilities: vec![
            Capability::Kv,
            Capability::Upstream,
            Capability::Sink("/a".to_owned()),
        ],
        limits: Limits::DEFAULT,
        isolation: Isolation::Warm,
        rollout: Rollout::Replace,
        recycle: Recycle::DEFAULT,
        backends,
    }
}

fn filter(at: usize, wanted: &Wanted<'_>, plugin: &Plugin) -> ChainFilter {
    ChainFilter {
        name: format!("{}-{at}", wanted.guest),
        plugin: PluginIndex(at),
        config: wanted.config.as_bytes().to_vec(),
        stage: Stage::Accepted,
        failure_mode: FailureMode::Closed,
        capabilities: plugin.capabilities.clone(),
        limits: Limits::DEFAULT,
        isolation: Isolation::Warm,
        backends: plugin.backends.clone(),
        origin: Vec::new(),
    }
}

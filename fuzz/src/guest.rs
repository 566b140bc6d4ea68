//! The guest that runs programs, loaded into a real runtime, with a few filters of it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, io};

use weir_filter::Filter;
use weir_kv::Store;
use weir_model::{
    Capability, ChainFilter, FailureMode, GrantedBackend, Isolation, Limits, Plugin, PluginIndex,
    PluginSource, Recycle, Rollout, Stage,
};
use weir_runtime::{
    EngineConfig, LoadError, LoadedPlugin, Runtime, RuntimeConfig, Sink, SinkError, SinkOpener,
};
use weir_telemetry::Registry;

/// What one call may use. The instances are few, so that one that is lost is missed soon.
pub(crate) const LIMITS: Limits = Limits {
    memory: 8 << 20,
    deadline: Duration::from_secs(2),
    timeout: Duration::from_secs(2),
    body: 64 << 10,
    instances: 4,
    callouts: 8,
    kv_bytes: 1 << 20,
    ..Limits::DEFAULT
};

/// The loaded guest, and what the runtime measures of it.
#[derive(Debug)]
pub struct Guest {
    plugin: Arc<LoadedPlugin>,
    registry: Registry,
    /// Exchanges so far.
    runs: AtomicU32,
    /// Never called by a program: takes the plugin out of its back-off.
    pub(crate) calm: Arc<dyn Filter>,
    /// Filters `a`, `b` (bound to its exchange) and `c` (a new instance for each exchange).
    pub(crate) filters: [Arc<dyn Filter>; 3],
    _runtime: Runtime,
}

impl Guest {
    /// Compiles and configures it.
    ///
    /// # Panics
    /// When it was not built, or does not load.
    pub fn load() -> Self {
        let registry = Registry::new();
        let environment = HashMap::from([("ZONE".to_owned(), "b".to_owned())]);
        let runtime = Runtime::new(RuntimeConfig {
            engine: EngineConfig::small(),
            cache_dir: None,
            sinks: Arc::new(Nowhere),
            environment: Arc::new(environment),
            store: Arc::new(Store::new()),
            registry: registry.clone(),
        });
        let runtime = runtime.expect("the runtime starts");
        let plugin = runtime.load(&plugin(), &component()).expect("the guest loads");
        let make = |config: &str, isolation| {
            let filter = filter(config.as_bytes(), isolation);
            plugin.filter(&filter).expect("the guest takes its configuration")
        };
        Self {
            calm: make("calm", Isolation::Warm),
            filters: [
                make("a", Isolation::Warm),
                make("keep b", Isolation::Warm),
                make("c", Isolation::Fresh),
            ],
            plugin,
            registry,
            runs: AtomicU32::new(0),
            _runtime: runtime,
        }
    }

    /// Lets the guest run a program while it is configured.
    ///
    /// # Panics
    /// When the failure is one that no guest can bring about.
    pub fn configure(&self, program: &[u8]) {
        let config = [b"run\n", program].concat();
        match self.plugin.filter(&filter(&config, Isolation::Warm)) {
            Ok(_) | Err(LoadError::Refused { .. } | LoadError::Start { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }

    /// Fails when instances are lost: more are alive than can be idle. Looks after every so many exchanges only, since
    /// writing the page takes longer than one.
    ///
    /// # Panics
    /// Then.
    pub(crate) fn check_instances(&self) {
        if self.runs.fetch_add(1, Ordering::Relaxed) % 256 != 0 {
            return;
        }
        let page = self.registry.render();
        let line = page
            .lines()
            .find(|line| line.starts_with("weir_plugin_instances{"));
        let number = line.and_then(|line| line.rsplit(' ').next()).expect("a gauge");
        let alive: f64 = number.parse().expect("a number");
        assert!(alive <= f64::from(LIMITS.instances), "{alive} instances");
    }
}

fn plugin() -> Plugin {
    Plugin {
        name: "fuzz/driver".into(),
        source: PluginSource::File(PathBuf::from("/fuzz_driver.wasm")),
        digest: None,
        signature: None,
        capabilities: capabilities(),
        limits: LIMITS,
        isolation: Isolation::Warm,
        rollout: Rollout::Replace,
        recycle: Recycle {
            calls: 500,
            ..Recycle::DEFAULT
        },
        backends: backends(),
    }
}

fn filter(config: &[u8], isolation: Isolation) -> ChainFilter {
    ChainFilter {
        name: String::from_utf8_lossy(config).into_owned(),
        plugin: PluginIndex(0),
        config: config.to_vec(),
        stage: Stage::Accepted,
        failure_mode: FailureMode::Closed,
        capabilities: capabilities(),
        limits: LIMITS,
        isolation,
        backends: backends(),
        origin: Vec::new(),
    }
}

fn capabilities() -> Vec<Capability> {
    vec![
        Capability::Log,
        Capability::Clock,
        Capability::Random,
        Capability::Environment(Some("ZONE".into())),
        Capability::Sink("/dev/null".into()),
        Capability::Upstream,
        Capability::Kv,
        Capability::Metrics,
    ]
}

/// One that can be reached, and one whose reference did not resolve.
fn backends() -> Vec<GrantedBackend> {
    let backend = |name: &str, cluster: &str| GrantedBackend {
        name: name.into(),
        cluster: cluster.into(),
    };
    vec![backend("one", "granted"), backend("gone", "")]
}

fn component() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm/tests/fuzz_driver.wasm");
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask plugins`", path.display()))
}

/// Takes records and forgets them; large ones and every third are refused.
#[derive(Debug)]
struct Nowhere;

impl SinkOpener for Nowhere {
    fn open(&self, _: &str) -> io::Result<Arc<dyn Sink>> {
        Ok(Arc::new(Self))
    }
}

impl Sink for Nowhere {
    fn write(&self, record: &[u8]) -> Result<(), SinkError> {
        match record.len() {
            large if large > 1 << 16 => Err(SinkError::TooLarge),
            odd if odd % 3 == 2 => Err(SinkError::Full),
            _ => Ok(()),
        }
    }
}

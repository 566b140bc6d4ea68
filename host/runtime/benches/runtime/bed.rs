//! A runtime, guests for it, exchanges for the guests, and phase calls driven as a worker does.

use std::collections::HashMap;
use std::future::poll_fn;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use std::{fs, io};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use weir_filter::{Call, Callouts, Exchange, Facts, Filter, Kept, Phase, Progress, RequestHead};
use weir_kv::Store;
use weir_model::{
    Capability, ChainFilter, FailureMode, GrantedBackend, Isolation, Limits, Plugin, PluginIndex,
    PluginSource, Recycle, Rollout, Stage,
};
use weir_runtime::{EngineConfig, LoadedPlugin, Runtime, RuntimeConfig, Sink, SinkError, SinkOpener};
use weir_telemetry::Registry;

/// A runtime and where it counts.
pub(crate) struct Bed {
    pub(crate) runtime: Runtime,
    pub(crate) registry: Registry,
}

impl Bed {
    /// A runtime with the sizes of a gateway.
    pub(crate) fn new(cache_dir: Option<PathBuf>) -> Self {
        let registry = Registry::new();
        let config = RuntimeConfig {
            engine: EngineConfig::default(),
            cache_dir,
            sinks: Arc::new(Discard),
            environment: Arc::new(HashMap::from([("ZONE".to_owned(), "b".to_owned())])),
            store: Arc::new(Store::new()),
            registry: registry.clone(),
        };
        Self {
            runtime: Runtime::new(config).unwrap(),
            registry,
        }
    }

    /// A test guest, loaded with every capability.
    pub(crate) fn load(&self, guest: &str) -> Arc<LoadedPlugin> {
        self.runtime.load(&plugin(guest), &component(guest)).unwrap()
    }

    /// A filter of a test guest.
    pub(crate) fn filter(&self, guest: &str, config: &str) -> Arc<dyn Filter> {
        self.load(guest).filter(&chain_filter(config)).unwrap()
    }

    /// How many instances of a guest the metrics page shows.
    pub(crate) fn instances(&self, guest: &str) -> f64 {
        let series = format!(r#"weir_plugin_instances{{plugin="bench/{guest}"}} "#);
        let page = self.registry.render();
        let value = page.lines().find_map(|line| line.strip_prefix(&series));
        value.map_or(f64::NAN, |value| value.parse().unwrap())
    }
}

/// The bytes of a test guest.
pub(crate) fn component(guest: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/wasm/tests/{guest}.wasm"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask plugins`", path.display()))
}

pub(crate) fn plugin(guest: &str) -> Plugin {
    Plugin {
        name: format!("bench/{guest}"),
        source: PluginSource::File(PathBuf::from(format!("/{guest}.wasm"))),
        digest: None,
        signature: None,
        capabilities: capabilities(),
        limits: LIMITS,
        isolation: Isolation::Warm,
        rollout: Rollout::Replace,
        // A new instance in the middle would be in some sample and not in others; what one costs has its own row.
        recycle: Recycle {
            calls: u32::MAX,
            ..Recycle::DEFAULT
        },
        backends: Vec::new(),
    }
}

pub(crate) fn chain_filter(config: &str) -> ChainFilter {
    ChainFilter {
        name: format!("filter({config})"),
        plugin: PluginIndex(0),
        config: config.as_bytes().to_vec(),
        stage: Stage::Accepted,
        failure_mode: FailureMode::Closed,
        capabilities: capabilities(),
        limits: LIMITS,
        isolation: Isolation::Warm,
        backends: vec![GrantedBackend {
            name: "backend".to_owned(),
            cluster: "c".to_owned(),
        }],
        origin: Vec::new(),
    }
}

/// Wide enough for thousands of host calls in one call; a limit costs the same wherever it lies.
const LIMITS: Limits = Limits {
    deadline: Duration::from_secs(10),
    instances: 4000,
    callouts: u32::MAX,
    log_lines: u32::MAX,
    ..Limits::DEFAULT
};

fn capabilities() -> Vec<Capability> {
    vec![
        Capability::Log,
        Capability::Clock,
        Capability::Random,
        Capability::Environment(Some("ZONE".to_owned())),
        Capability::Sink("/bench".to_owned()),
        Capability::Upstream,
        Capability::Kv,
        Capability::Metrics,
    ]
}

/// What the calls of an exchange hand on to each other.
pub(crate) struct Visit {
    pub(crate) exchange: Exchange,
    kept: Option<Kept>,
}

impl Visit {
    /// `GET http://a.example/api/v1/things?page=2` with twenty fields, answered with the same twenty.
    pub(crate) fn new(callouts: Option<Arc<dyn Callouts>>) -> Self {
        let mut request = RequestHead {
            headers: fields(),
            ..RequestHead::default()
        };
        assert!(request.set_path_and_query("/api/v1/things?page=2"));
        assert!(request.set_authority("a.example"));
        let mut exchange = Exchange::new(request, Facts::default());
        exchange.response.status = Some(StatusCode::OK);
        exchange.response.headers = fields();
        exchange.callouts = callouts;
        Self { exchange, kept: None }
    }

    /// One phase call from its start to its end.
    pub(crate) async fn call(self, filter: &dyn Filter, phase: Phase) -> Self {
        let call = Call {
            phase,
            exchange: self.exchange,
            kept: self.kept,
        };
        let mut call = Some(call);
        let first = poll_fn(|cx| Poll::Ready(call.take().map(|call| filter.call(call, cx)))).await;
        let finished = match first.unwrap() {
            Progress::Done(finished) => finished,
            Progress::Waiting(mut waiting) => poll_fn(|cx| waiting.poll(cx)).await,
        };
        black_box(finished.result.unwrap());
        Self {
            exchange: finished.exchange,
            kept: finished.kept,
        }
    }

    /// Ends the exchange for its filter, which gives up what it kept.
    pub(crate) fn end(mut self) -> Self {
        self.kept = None;
        self
    }

    /// Several phases, one after the other.
    pub(crate) async fn pass(mut self, filter: &dyn Filter, phases: &[Phase]) -> Self {
        for phase in phases {
            self = self.call(filter, phase.clone()).await;
        }
        self
    }
}

/// A worker's executor.
pub(crate) fn worker() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// Memory of this process that is in RAM, in bytes.
pub(crate) fn resident() -> f64 {
    // The sum over all mappings: the counter of `statm` is only brought up to date now and then.
    let text = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    kilobytes * 1024.0
}

/// Twenty fields with the lengths that browsers send.
fn fields() -> HeaderMap {
    let mut fields: HeaderMap = (0_usize..19)
        .map(|at| {
            let name = HeaderName::try_from(format!("x-field-number-{at}")).unwrap();
            (name, HeaderValue::try_from(vec![b'v'; 8 + at * 3]).unwrap())
        })
        .collect();
    fields.insert("x-api-key", HeaderValue::from_static("secret"));
    fields
}

/// Outputs that throw every record away.
#[derive(Debug)]
struct Discard;

impl SinkOpener for Discard {
    fn open(&self, _: &str) -> io::Result<Arc<dyn Sink>> {
        Ok(Arc::new(Self))
    }
}

impl Sink for Discard {
    fn write(&self, record: &[u8]) -> Result<(), SinkError> {
        black_box(record);
        Ok(())
    }
}

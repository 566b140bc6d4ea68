//! A runtime, guests for it, and exchanges for the guests.

use std::collections::HashMap;
use std::fs;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use weir_filter::{
    Action, Call, Callouts, Chain, Chunk, Exchange, Facts, Filter, FilterError, Finished, Phase, Progress,
    RequestHead, Run, Step, Waiting,
};
use weir_kv::Store;
use weir_model::{
    Capability, ChainFilter, FailureMode, GrantedBackend, Isolation, Limits, Plugin, PluginIndex,
    PluginSource, Recycle, Rollout, Stage,
};
use weir_runtime::{
    EngineConfig, LoadError, LoadedPlugin, Runtime, RuntimeConfig, Sink, SinkError, SinkOpener,
};
use weir_telemetry::Registry;

mod backend;
mod text;

pub(crate) use backend::{Answer, Backend, Far, plain};
pub(crate) use text::{TextPolicy, component};

/// The defaults, with time for a machine that is busy with other tests: deadlines are wall time.
pub(crate) const LIMITS: Limits = Limits {
    deadline: Duration::from_millis(500),
    ..Limits::DEFAULT
};

/// Sinks that keep what was written; paths below `/closed` do not open.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) records: Mutex<Vec<Vec<u8>>>,
}

pub(crate) struct Opener(pub(crate) Arc<Memory>);

impl SinkOpener for Opener {
    fn open(&self, path: &str) -> io::Result<Arc<dyn Sink>> {
        if path.starts_with("/closed") {
            return Err(io::Error::other("it is closed"));
        }
        Ok(self.0.clone())
    }
}

impl Sink for Memory {
    fn write(&self, record: &[u8]) -> Result<(), SinkError> {
        self.records.lock().unwrap().push(record.to_vec());
        Ok(())
    }
}

pub(crate) fn config(engine: EngineConfig) -> RuntimeConfig {
    let environment = HashMap::from([
        ("ZONE".to_owned(), "b".to_owned()),
        ("SECRET".to_owned(), "s".to_owned()),
    ]);
    RuntimeConfig {
        engine,
        // Most of the time of a test would go into compiling what others have compiled.
        cache_dir: Some(PathBuf::from(concat!(env!("CARGO_TARGET_TMPDIR"), "/plugins"))),
        sinks: Arc::new(Opener(Arc::default())),
        environment: Arc::new(environment),
        store: Arc::new(Store::new()),
        registry: Registry::new(),
    }
}

pub(crate) fn runtime() -> Runtime {
    Runtime::new(config(EngineConfig::small())).unwrap()
}

pub(crate) fn plugin(name: &str) -> Plugin {
    Plugin {
        name: format!("test/{name}"),
        source: PluginSource::File(PathBuf::from(format!("/{name}.wasm"))),
        digest: None,
        signature: None,
        capabilities: Vec::new(),
        limits: Limits::DEFAULT,
        isolation: Isolation::Warm,
        rollout: Rollout::Replace,
        recycle: Recycle::DEFAULT,
        backends: Vec::new(),
    }
}

/// A component of `tests/guests`.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/wasm/tests/{name}.wasm"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask plugins`", path.display()))
}

pub(crate) fn load(runtime: &Runtime, name: &str) -> Arc<LoadedPlugin> {
    runtime.load(&plugin(name), &guest(name)).unwrap()
}

pub(crate) fn chain_filter(config: &str) -> ChainFilter {
    ChainFilter {
        name: format!("filter({config})"),
        plugin: PluginIndex(0),
        config: config.as_bytes().to_vec(),
        stage: Stage::Accepted,
        failure_mode: FailureMode::Closed,
        capabilities: Vec::new(),
        limits: LIMITS,
        isolation: Isolation::Warm,
        backends: Vec::new(),
        origin: Vec::new(),
    }
}

pub(crate) fn filter(plugin: &Arc<LoadedPlugin>, config: &str) -> Arc<dyn Filter> {
    plugin.filter(&chain_filter(config)).unwrap()
}

/// Loads a guest that needs these capabilities and makes a filter with all of them.
pub(crate) fn granted(
    runtime: &Runtime,
    name: &str,
    config: &str,
    capabilities: &[Capability],
) -> Result<Arc<dyn Filter>, LoadError> {
    let plugin = Plugin {
        capabilities: capabilities.to_vec(),
        ..plugin(name)
    };
    let filter = ChainFilter {
        capabilities: capabilities.to_vec(),
        ..chain_filter(config)
    };
    runtime.load(&plugin, &guest(name))?.filter(&filter)
}

/// Loads a guest and makes a filter of it after `change`; what the plugin is granted is granted to the filter.
pub(crate) fn custom(
    runtime: &Runtime,
    name: &str,
    config: &str,
    change: impl FnOnce(&mut Plugin, &mut ChainFilter),
) -> (Arc<LoadedPlugin>, Arc<dyn Filter>) {
    let (mut plugin, mut filter) = (plugin(name), chain_filter(config));
    change(&mut plugin, &mut filter);
    filter.capabilities.clone_from(&plugin.capabilities);
    let loaded = runtime.load(&plugin, &guest(name)).unwrap();
    let filter = loaded.filter(&filter).unwrap();
    (loaded, filter)
}

/// A runtime and the registry of its metrics.
pub(crate) fn measured(engine: EngineConfig) -> (Runtime, Registry) {
    let config = config(engine);
    let registry = config.registry.clone();
    (Runtime::new(config).unwrap(), registry)
}

/// The value of a series such as `weir_plugin_instances{plugin="test/headers"}`; 0 when it is not on the page.
pub(crate) fn series(registry: &Registry, series: &str) -> f64 {
    let page = registry.render();
    let line = page
        .lines()
        .find_map(|it| it.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// A chain of these filters, all failing closed.
pub(crate) fn closed_chain(filters: impl IntoIterator<Item = Arc<dyn Filter>>) -> Chain {
    let step = |filter| Step {
        filter,
        failure_mode: FailureMode::Closed,
    };
    Chain::new(filters.into_iter().map(step).collect())
}

/// An exchange with a way to this backend.
pub(crate) fn exchange_with(backend: &Arc<Backend>, fields: &[(&'static str, &'static str)]) -> Exchange {
    let mut exchange = exchange(fields);
    let callouts: Arc<dyn Callouts> = backend.clone();
    exchange.callouts = Some(callouts);
    exchange
}

/// Drives a request head that waits until `seen` of what it does.
pub(crate) async fn drive_until(chain: &Chain, run: &mut Run, mut seen: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        let polled = poll_fn(|cx| Poll::Ready(chain.poll_request_head(run, cx))).await;
        assert!(polled.is_pending(), "it waits: {polled:?}");
        if seen() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it was not seen");
}

/// The grant of a backend `echo` in the cluster `c`, and of `dead`, which did not resolve.
pub(crate) fn backends() -> Vec<GrantedBackend> {
    [("echo", "c"), ("dead", "")]
        .map(|(name, cluster)| GrantedBackend {
            name: name.to_owned(),
            cluster: cluster.to_owned(),
        })
        .to_vec()
}

/// Phase calls one by one, without a chain: each waits until it is over.
pub(crate) trait Calls {
    fn run(&self, phase: Phase, exchange: &mut Exchange) -> Result<Action, FilterError>;

    fn on_request_head(&self, exchange: &mut Exchange) -> Result<Action, FilterError> {
        self.run(Phase::RequestHead, exchange)
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> Result<Action, FilterError> {
        self.run(Phase::ResponseHead, exchange)
    }

    fn on_request_body(
        &self,
        exchange: &mut Exchange,
        bytes: &Bytes,
        end: bool,
    ) -> Result<Action, FilterError> {
        let bytes = bytes.clone();
        self.run(Phase::RequestBody(Chunk { bytes, end }), exchange)
    }

    fn on_response_body(
        &self,
        exchange: &mut Exchange,
        bytes: &Bytes,
        end: bool,
    ) -> Result<Action, FilterError> {
        let bytes = bytes.clone();
        self.run(Phase::ResponseBody(Chunk { bytes, end }), exchange)
    }

    fn on_log(&self, exchange: &mut Exchange) -> Result<(), FilterError> {
        self.run(Phase::Log, exchange).map(drop)
    }
}

impl Calls for Arc<dyn Filter> {
    fn run(&self, phase: Phase, exchange: &mut Exchange) -> Result<Action, FilterError> {
        let finished = worker(call(self, phase, mem::take(exchange)));
        *exchange = finished.exchange;
        finished.result
    }
}

/// One phase call from its start to its end, beside whatever else its worker does.
pub(crate) async fn call(filter: &Arc<dyn Filter>, phase: Phase, exchange: Exchange) -> Finished {
    let mut call = Some(Call {
        phase,
        exchange,
        kept: None,
    });
    let mut waiting: Option<Box<dyn Waiting>> = None;
    poll_fn(|cx| match (call.take(), &mut waiting) {
        (Some(call), _) => match Filter::call(&**filter, call, cx) {
            Progress::Done(finished) => Poll::Ready(finished),
            Progress::Waiting(it) => {
                waiting = Some(it);
                Poll::Pending
            }
        },
        (None, Some(waiting)) => waiting.poll(cx),
        (None, None) => unreachable!("it was called"),
    })
    .await
}

/// Runs a future as a worker would: on this thread, with a clock.
pub(crate) fn worker<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(work)
}

/// `GET http://a.example/api/x?y=1` with these fields, answered with 200 and the same fields.
pub(crate) fn exchange(fields: &[(&'static str, &'static str)]) -> Exchange {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    let mut request = RequestHead {
        method: Method::GET,
        headers: headers.clone(),
        ..RequestHead::default()
    };
    assert!(request.set_path_and_query("/api/x?y=1"));
    assert!(request.set_authority("a.example"));
    let mut exchange = Exchange::new(request, Facts::default());
    exchange.response.status = Some(StatusCode::OK);
    exchange.response.headers = headers;
    exchange
}

/// All values of a field, for comparison.
pub(crate) fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect()
}

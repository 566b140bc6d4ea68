//! A runtime, guests for it, and exchanges for the guests.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use weir_filter::{Exchange, Facts, Filter, RequestHead};
use weir_model::{Capability, ChainFilter, FailureMode, Limits, Plugin, PluginIndex, PluginSource, Stage};
use weir_runtime::{
    EngineConfig, LoadError, LoadedPlugin, Runtime, RuntimeConfig, Sink, SinkError, SinkOpener,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

/// The contract's own text.
pub(crate) const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/weir-policy");

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
        cache_dir: None,
        sinks: Arc::new(Opener(Arc::default())),
        environment: Arc::new(environment),
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
        capabilities: Vec::new(),
        limits: Limits::DEFAULT,
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

/// A component of the world `world` in `wit`, with the contract beside it, from a module in text or, without one,
/// from one that imports everything and does nothing.
pub(crate) fn component(wit: &str, world: &str, module: Option<&str>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_path(WIT).unwrap();
    let package = resolve.push_str("test.wit", wit).unwrap();
    let world: WorldId = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = match module {
        Some(text) => wat::parse_str(text).unwrap(),
        None => wit_component::dummy_module(
            &resolve,
            world,
            wit_parser::ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync),
        ),
    };
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

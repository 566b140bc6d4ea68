//! The plugin runtime as the command sets it up, and the plugins that come with it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use weir_artifact::{AllowList, Fetcher, Options};
use weir_gateway::Builtins;
use weir_kv::Store;
use weir_runtime::{EngineConfig, Runtime, RuntimeConfig, SinkOpener};
use weir_telemetry::Registry;

use crate::args::{Sources, WasmPool};

/// Starts a runtime with the process's own environment.
///
/// # Errors
/// When the engine does not start, or the cache folder cannot be trusted.
pub(crate) fn runtime(
    cache_dir: Option<&Path>,
    pool: WasmPool,
    sinks: Arc<dyn SinkOpener>,
    registry: &Registry,
) -> anyhow::Result<Arc<Runtime>> {
    let config = RuntimeConfig {
        engine: match pool {
            WasmPool::Default => EngineConfig::default(),
            WasmPool::Small => EngineConfig::small(),
        },
        cache_dir: cache_dir.map(Path::to_owned).or_else(default_cache_dir),
        sinks,
        environment: Arc::new(
            std::env::vars_os()
                .filter_map(text_pair)
                .collect::<HashMap<_, _>>(),
        ),
        store: Arc::new(Store::new()),
        registry: registry.clone(),
    };
    Ok(Arc::new(Runtime::new(config)?))
}

/// What fetches plugins; `store` is where they are kept over restarts.
///
/// # Errors
/// When the allow-list, the certificates or the folder cannot be used.
pub(crate) fn fetcher(sources: &Sources, store: Option<PathBuf>) -> anyhow::Result<Fetcher> {
    let allow = AllowList::new(sources.allow_registry.iter().cloned()).context("--allow-registry")?;
    let options = Options {
        allow,
        store,
        ca_file: sources.registry_ca.clone(),
        ..Options::default()
    };
    Fetcher::build(&options).context("plugins cannot be fetched")
}

/// Where fetched plugins are kept.
pub(crate) fn artifact_dir(cache_dir: Option<&Path>) -> Option<PathBuf> {
    let cache = cache_dir.map(Path::to_owned).or_else(default_cache_dir)?;
    Some(cache.join("artifacts"))
}

/// The built-in plugins, by name.
pub(crate) fn builtins() -> Arc<Builtins> {
    Arc::new(
        weir_plugins::BUILTINS
            .iter()
            .map(|it| (it.name, it.component))
            .collect(),
    )
}

fn text_pair((name, value): (OsString, OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

fn default_cache_dir() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("weir"))
}

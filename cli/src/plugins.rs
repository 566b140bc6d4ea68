//! The plugin runtime as the command sets it up, and the plugins that come with it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_gateway::Builtins;
use weir_runtime::{EngineConfig, Runtime, RuntimeConfig, SinkOpener};

use crate::args::WasmPool;

/// Starts a runtime with the process's own environment.
///
/// # Errors
/// When the engine does not start, or the cache folder cannot be trusted.
pub(crate) fn runtime(
    cache_dir: Option<&Path>,
    pool: WasmPool,
    sinks: Arc<dyn SinkOpener>,
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
    };
    Ok(Arc::new(Runtime::new(config)?))
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

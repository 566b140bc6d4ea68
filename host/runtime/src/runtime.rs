//! The entry: loads plugins, each artifact once.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use wasmtime::component::Linker;
use weir_model::{Plugin, PluginSource};

use crate::artifact::{self, cache::Cache};
use crate::bindings::PolicyPre;
use crate::capability::{self, SinkOpener};
use crate::engine::TickingEngine;
use crate::instance::State;
use crate::plugin::{Code, LoadedPlugin, Reach};
use crate::{EngineConfig, LoadError, RuntimeError};

/// What a runtime is made of.
pub struct RuntimeConfig {
    /// Sizes of the engine.
    pub engine: EngineConfig,
    /// Where compiled plugins are kept; without it they are compiled at every start.
    pub cache_dir: Option<PathBuf>,
    /// Opens the outputs that filters are granted.
    pub sinks: Arc<dyn SinkOpener>,
    /// The variables that filters may be granted, as they were at the start.
    pub environment: Arc<HashMap<String, String>>,
}

/// The engine, its clock and its cache. Dropping it disturbs no plugin that is loaded.
pub struct Runtime {
    engine: Arc<TickingEngine>,
    linker: Linker<State>,
    cache: Option<Cache>,
    reach: Reach,
    /// What is loaded now, by digest, so that a reload keeps code and warm instances.
    known: Mutex<HashMap<String, Weak<Code>>>,
}

impl Runtime {
    /// Starts the engine and its clock.
    ///
    /// # Errors
    /// When the engine cannot reserve its pools, or the cache directory cannot be trusted.
    pub fn new(config: RuntimeConfig) -> Result<Self, RuntimeError> {
        let engine = TickingEngine::start(config.engine)?;
        let linker = capability::linker(engine.engine()).map_err(RuntimeError::Engine)?;
        let cache = config
            .cache_dir
            .map(|path| Cache::open(&path, engine.engine()))
            .transpose()?;
        Ok(Self {
            engine: Arc::new(engine),
            linker,
            cache,
            reach: Reach {
                sinks: config.sinks,
                environment: config.environment,
            },
            known: Mutex::default(),
        })
    }

    /// Loads a plugin from its bytes: compiles it, or maps it from the cache, and checks what it imports. Off the
    /// request path.
    ///
    /// # Errors
    /// When the bytes are not a component of our contract and version, are not the pinned ones, or import what was
    /// not granted.
    pub fn load(&self, plugin: &Plugin, bytes: &[u8]) -> Result<Arc<LoadedPlugin>, LoadError> {
        let digest = artifact::check(plugin, bytes)?;
        let code = match self.loaded(&digest) {
            Some(code) => code,
            None => self.compile(plugin, digest, bytes)?,
        };
        // A built-in is granted what each of its filters is granted; that is checked there.
        if !matches!(plugin.source, PluginSource::Builtin(_)) {
            artifact::granted(
                &code.imports,
                &plugin.capabilities,
                &format!("plugin {}", plugin.name),
            )?;
        }
        Ok(Arc::new(LoadedPlugin {
            name: plugin.name.clone(),
            code,
            reach: self.reach.clone(),
        }))
    }

    fn compile(&self, plugin: &Plugin, digest: String, bytes: &[u8]) -> Result<Arc<Code>, LoadError> {
        let engine = self.engine.engine();
        let component = artifact::compile(engine, self.cache.as_ref(), &plugin.name, &digest, bytes)?;
        let imports = artifact::interfaces(engine, &component, &plugin.name)?;
        let policy = self
            .linker
            .instantiate_pre(&component)
            .and_then(PolicyPre::new)
            .map_err(|source| LoadError::Types {
                plugin: plugin.name.clone(),
                source,
            })?;
        let code = Arc::new(Code::new(
            digest.clone(),
            imports,
            Arc::clone(&self.engine),
            policy,
        ));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, code| code.strong_count() > 0);
        known.insert(digest, Arc::downgrade(&code));
        Ok(code)
    }

    fn loaded(&self, digest: &str) -> Option<Arc<Code>> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(digest)
            .and_then(Weak::upgrade)
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("engine", &self.engine)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

//! The entry: loads plugins, each artifact once.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use wasmtime::component::Linker;
use weir_kv::Store;
use weir_model::{Plugin, PluginSource};
use weir_telemetry::{PluginFamilies, PluginTelemetry, Registry};

use crate::artifact::{self, cache::Cache};
use crate::capability::{self, SinkOpener};
use crate::code::Code;
use crate::engine::TickingEngine;
use crate::export::{Template, World};
use crate::handler;
use crate::plugin::{LoadedPlugin, Reach};
use crate::state::State;
use crate::{Compiled, EngineConfig, InspectError, LoadError, RuntimeError, inspect};

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
    /// What plugins keep between exchanges.
    pub store: Arc<Store>,
    /// Where plugins are measured.
    pub registry: Registry,
}

/// The engine, its clock and its cache. Dropping it disturbs no plugin that is loaded.
pub struct Runtime {
    engine: Arc<TickingEngine>,
    linker: Linker<State>,
    /// The same with WASI.
    handler_linker: Linker<State>,
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
        let handler_linker = handler::linker(&linker).map_err(RuntimeError::Engine)?;
        let cache = config
            .cache_dir
            .map(|path| Cache::open(&path, engine.engine()))
            .transpose()?;
        Ok(Self {
            engine: Arc::new(engine),
            linker,
            handler_linker,
            cache,
            reach: Reach {
                sinks: config.sinks,
                environment: config.environment,
                store: config.store,
                families: PluginFamilies::new(&config.registry)?,
                registry: config.registry,
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
        Ok(Arc::new(LoadedPlugin::new(plugin, code, self.reach.clone())))
    }

    /// Compiles an artifact of any kind for nobody's use, to say what it costs. The cache has no part in it.
    ///
    /// # Errors
    /// When the bytes are no valid component or module.
    pub fn measure(&self, bytes: &[u8]) -> Result<Compiled, InspectError> {
        inspect::compile(self.engine.engine(), bytes)
    }

    /// Where a plugin is measured, whether or not it could be loaded.
    pub fn telemetry(&self, plugin: &str) -> PluginTelemetry {
        self.reach.families.plugin(plugin)
    }

    fn compile(&self, plugin: &Plugin, digest: String, bytes: &[u8]) -> Result<Arc<Code>, LoadError> {
        let engine = self.engine.engine();
        let component = artifact::compile(engine, self.cache.as_ref(), &plugin.name, &digest, bytes)?;
        let interfaces = artifact::interfaces(engine, &component, &plugin.name)?;
        let types = |source| LoadError::Types {
            plugin: plugin.name.clone(),
            source,
        };
        let linker = match interfaces.world {
            World::Handler => &self.handler_linker,
            World::Policy | World::AccessLog | World::L4 | World::BackgroundTask => &self.linker,
        };
        let component = linker.instantiate_pre(&component).map_err(types)?;
        let background = interfaces
            .has_background
            .then(|| Template::new(World::BackgroundTask, component.clone()))
            .transpose()
            .map_err(types)?;
        let code = Arc::new(Code::new(
            digest.clone(),
            interfaces.world,
            interfaces.imports,
            Arc::clone(&self.engine),
            Template::new(interfaces.world, component).map_err(types)?,
            background,
        ));
        self.engine.register(&code);
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

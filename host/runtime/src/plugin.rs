//! A loaded plugin: compiled code, the instances made of it, and what it was granted.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use weir_filter::{Configured, Filter};
use weir_kv::{Namespace, Store};
use weir_model::{Capability, ChainFilter, Isolation, Limits, Plugin, Recycle};
use weir_telemetry::{
    DEFAULT_SERIES, GuestMetrics, PluginFamilies, PluginMetrics, PluginTelemetry, Probe, Registry,
};

use crate::artifact;
use crate::capability::{LogLimit, Sink, SinkOpener, Variable};
use crate::code::Code;
use crate::component::Component;
use crate::connection::ComponentConnectionFilter;
use crate::export::{Part, World};
use crate::filter::ComponentFilter;
use crate::pool::Starts;
use crate::state::{CallLimits, Effect, Use};
use crate::{Background, EngineConfig, LoadError};

/// A plugin that can be used: compiled, of our contract, every import granted.
pub struct LoadedPlugin {
    pub(crate) name: String,
    pub(crate) recycle: Recycle,
    pub(crate) code: Arc<Code>,
    pub(crate) reach: Reach,
    pub(crate) kv: Arc<Namespace>,
    pub(crate) metrics: Arc<PluginMetrics>,
    pub(crate) telemetry: PluginTelemetry,
    starts: Arc<Starts>,
    limits: Limits,
    /// Shows its limits.
    _limits: Vec<Probe>,
    /// Shows how much of the store is used.
    pub(crate) _kv_bytes: Probe,
}

/// One configured use of a plugin: what stands in chains, and what works beside it.
#[derive(Debug)]
pub struct Configuration {
    /// The step that it is in a chain, if any.
    pub filter: Configured,
    /// Work on its own time, which ends when this is dropped.
    pub background: Option<Background>,
}

/// What filters can be given from outside the sandbox.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) sinks: Arc<dyn SinkOpener>,
    pub(crate) environment: Arc<HashMap<String, String>>,
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Registry,
    pub(crate) families: PluginFamilies,
}

impl LoadedPlugin {
    pub(crate) fn new(plugin: &Plugin, code: Arc<Code>, reach: Reach) -> Self {
        let kv = reach.store.namespace(&plugin.name, plugin.limits.kv_bytes);
        let telemetry = reach.families.plugin(&plugin.name);
        let shown = Arc::clone(&kv);
        Self {
            name: plugin.name.clone(),
            recycle: plugin.recycle,
            code,
            _limits: shown_limits(&telemetry, &plugin.limits),
            _kv_bytes: telemetry.kv_bytes(move || shown.used()),
            metrics: GuestMetrics::for_plugin(&reach.registry, &plugin.name, DEFAULT_SERIES),
            kv,
            telemetry,
            starts: Arc::default(),
            limits: plugin.limits,
            reach,
        }
    }

    /// `sha256:` and the hash of the artifact.
    pub fn digest(&self) -> &str {
        &self.code.digest
    }

    /// What its filters may use, unless they narrow it.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The interfaces of `weir:policy` that the component imports: what it can do at all.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.code.imports.iter().map(String::as_str)
    }

    /// True while it fails so often that its starts are delayed.
    pub fn is_crash_looping(&self) -> bool {
        self.starts.are_delayed()
    }

    /// What its components are called for.
    pub fn world(&self) -> World {
        self.code.world
    }

    /// Makes a filter on exchanges of the plugin; see [`LoadedPlugin::configure`]. Background work that it may have is
    /// left out.
    ///
    /// # Errors
    /// As there, and when the plugin does not run on exchanges.
    pub fn filter(&self, filter: &ChainFilter) -> Result<Arc<dyn Filter>, LoadError> {
        self.on_exchanges(filter, self.configure(filter)?.filter)
    }

    /// Configures the plugin, after an instance of its own has taken the configuration. Off the request path.
    ///
    /// # Errors
    /// When a grant or a limit does not fit, an output does not open, the plugin does not start or refuses the
    /// configuration, or its manifest asks for what is not offered.
    pub fn configure(&self, filter: &ChainFilter) -> Result<Configuration, LoadError> {
        self.refuse_handler(filter)?;
        let used = Arc::new(self.used(filter, Effect::Real)?);
        let mut background = None;
        if self.code.has_background() {
            self.code.try_out(Part::Background, &used)?;
            background = Some(Background::new(Arc::clone(&self.code), Arc::clone(&used)));
        }
        Ok(Configuration {
            filter: self.configured(&used)?,
            background,
        })
    }

    /// Makes a filter on exchanges that changes nothing outside the exchange it is given: what it would write is
    /// thrown away.
    ///
    /// # Errors
    /// As [`LoadedPlugin::filter`].
    pub fn shadow(&self, filter: &ChainFilter) -> Result<Arc<dyn Filter>, LoadError> {
        self.refuse_handler(filter)?;
        let used = Arc::new(self.used(filter, Effect::None)?);
        self.on_exchanges(filter, self.configured(&used)?)
    }

    /// Where the plugin is measured.
    pub const fn telemetry(&self) -> &PluginTelemetry {
        &self.telemetry
    }

    fn refuse_handler(&self, filter: &ChainFilter) -> Result<(), LoadError> {
        if self.is_handler() {
            return Err(LoadError::Handler {
                filter: filter.name.clone(),
                plugin: self.name.clone(),
            });
        }
        Ok(())
    }

    fn on_exchanges(
        &self,
        filter: &ChainFilter,
        configured: Configured,
    ) -> Result<Arc<dyn Filter>, LoadError> {
        match configured {
            Configured::Filter(filter) => Ok(filter),
            _ => Err(LoadError::NoExchanges {
                filter: filter.name.clone(),
                plugin: self.name.clone(),
                world: self.code.world.as_str(),
            }),
        }
    }

    /// The part that runs on exchanges or connections, where there is one.
    fn configured(&self, used: &Arc<Use>) -> Result<Configured, LoadError> {
        if self.code.world == World::BackgroundTask {
            return Ok(Configured::Background);
        }
        let manifest = self.code.try_out(Part::Filter, used)?;
        used.show_crash_loop();
        let keeps = used.isolation == Isolation::Fresh || manifest.keeps;
        let component = Component::new(Arc::clone(&self.code), Arc::clone(used), keeps);
        Ok(match self.code.world {
            World::L4 => Configured::Connection(Arc::new(ComponentConnectionFilter::new(
                component,
                manifest.events,
            ))),
            _ => Configured::Filter(Arc::new(ComponentFilter::new(component, manifest.phases))),
        })
    }

    /// What a configured use may reach and use.
    pub(crate) fn used(&self, filter: &ChainFilter, effect: Effect) -> Result<Use, LoadError> {
        artifact::granted(
            &self.code.imports,
            &filter.capabilities,
            &format!("filter {}", filter.name),
        )?;
        let limits = &filter.limits;
        let largest = self.code.engine().config().largest_memory;
        if limits.memory > largest {
            return Err(LoadError::MemoryLimit {
                filter: filter.name.clone(),
                limit: limits.memory,
                largest,
            });
        }
        let (telemetry, starts) = match effect {
            Effect::Real => (self.telemetry.clone(), Arc::clone(&self.starts)),
            // What a shadow does must not look like what clients meet, and its failures must not delay theirs.
            Effect::None => {
                let shadow = format!("{} (shadow)", self.name);
                (self.reach.families.plugin(&shadow), Arc::default())
            }
        };
        Ok(Use {
            limits: self.call_limits(filter),
            plugin: self.name.clone(),
            filter: filter.name.clone(),
            config: filter.config.clone(),
            sinks: self.sinks(filter)?,
            environment: self.environment(filter),
            effect,
            backends: filter.backends.clone(),
            kv: Arc::clone(&self.kv),
            metrics: Arc::clone(&self.metrics),
            own_telemetry: telemetry.filter(&filter.name),
            telemetry,
            starts,
            log: LogLimit::new(limits.log_lines),
            table_elements: usize::try_from(limits.table_elements).unwrap_or(usize::MAX),
            instances: limits.instances,
            callouts: limits.callouts,
            start_deadline: limits.deadline.max(EngineConfig::START_DEADLINE),
            isolation: filter.isolation,
            dropped: AtomicBool::new(false),
        })
    }

    fn call_limits(&self, filter: &ChainFilter) -> CallLimits {
        let limits = &filter.limits;
        let memory = usize::try_from(limits.memory).unwrap_or(usize::MAX);
        let percent = usize::from(self.recycle.memory_percent.clamp(1, 100));
        CallLimits {
            slot: self.code.next_slot(),
            memory,
            memory_mark: memory / 100 * percent,
            body: limits.body,
            deadline: limits.deadline,
            timeout: limits.timeout,
            most_calls: self.recycle.calls.max(1),
            most_ticks: self.code.engine().ticks(self.recycle.age),
        }
    }

    fn sinks(&self, filter: &ChainFilter) -> Result<Vec<Arc<dyn Sink>>, LoadError> {
        let paths = filter.capabilities.iter().filter_map(|it| match it {
            Capability::Sink(path) => Some(path),
            _ => None,
        });
        paths
            .map(|path| {
                self.reach.sinks.open(path).map_err(|source| LoadError::Sink {
                    filter: filter.name.clone(),
                    path: path.clone(),
                    source,
                })
            })
            .collect()
    }

    fn environment(&self, filter: &ChainFilter) -> Vec<Variable> {
        let names = filter.capabilities.iter().filter_map(|it| match it {
            Capability::Environment(name) => name.as_ref(),
            _ => None,
        });
        names
            .map(|name| Variable {
                name: name.clone(),
                value: self.reach.environment.get(name).cloned(),
            })
            .collect()
    }
}

fn shown_limits(telemetry: &PluginTelemetry, limits: &Limits) -> Vec<Probe> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "the page has doubles; limits are far below 2^53 bytes"
    )]
    let bytes = |bytes: u64| bytes as f64;
    [
        ("memory_bytes", bytes(limits.memory)),
        ("table_elements", limits.table_elements.into()),
        ("deadline_seconds", limits.deadline.as_secs_f64()),
        ("timeout_seconds", limits.timeout.as_secs_f64()),
        ("body_bytes", bytes(limits.body)),
        ("instances", limits.instances.into()),
        ("callouts", limits.callouts.into()),
        ("log_lines", limits.log_lines.into()),
        ("kv_bytes", bytes(limits.kv_bytes)),
    ]
    .map(|(name, value)| telemetry.limit(name, value))
    .into()
}

impl fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedPlugin")
            .field("name", &self.name)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

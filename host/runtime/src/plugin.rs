//! A loaded plugin: compiled code, the instances made of it, and what it was granted.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use weir_filter::{Exchange, Filter, Phases};
use weir_model::{Capability, ChainFilter};

use crate::artifact;
use crate::bindings::{PolicyPre, guest, types};
use crate::capability::{Sink, SinkOpener, Variable};
use crate::engine::TickingEngine;
use crate::filter::ComponentFilter;
use crate::instance::{Fault, Instance, State, Use};
use crate::pool::Pool;
use crate::{EngineConfig, LoadError};

/// Code and instances of one artifact, shared by all plugins and filters of the same digest.
pub(crate) struct Code {
    pub(crate) digest: String,
    /// Interfaces of `weir:policy` that it imports.
    pub(crate) imports: Vec<String>,
    engine: Arc<TickingEngine>,
    policy: PolicyPre<State>,
    pool: Pool,
    slots: AtomicU32,
    drops: AtomicU64,
}

/// A plugin that can be used: compiled, of our contract, every import granted.
pub struct LoadedPlugin {
    pub(crate) name: String,
    pub(crate) code: Arc<Code>,
    pub(crate) reach: Reach,
}

/// What filters can be given from outside the sandbox.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) sinks: Arc<dyn SinkOpener>,
    pub(crate) environment: Arc<HashMap<String, String>>,
}

impl LoadedPlugin {
    /// `sha256:` and the hash of the artifact.
    pub fn digest(&self) -> &str {
        &self.code.digest
    }

    /// The interfaces of `weir:policy` that the component imports: what it can do at all.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.code.imports.iter().map(String::as_str)
    }

    /// Makes a filter of the plugin, after an instance of its own has taken the configuration. Off the request path.
    ///
    /// # Errors
    /// When a grant or a limit does not fit, an output does not open, the plugin does not start or refuses the
    /// configuration, or its manifest asks for what is not offered.
    pub fn filter(&self, filter: &ChainFilter) -> Result<Arc<dyn Filter>, LoadError> {
        let name = || filter.name.clone();
        artifact::granted(
            &self.code.imports,
            &filter.capabilities,
            &format!("filter {}", filter.name),
        )?;
        let largest = self.code.engine.config().largest_memory;
        if filter.limits.memory > largest {
            return Err(LoadError::MemoryLimit {
                filter: name(),
                limit: filter.limits.memory,
                largest,
            });
        }
        let used = Arc::new(self.used(filter)?);
        let manifest = self
            .code
            .canary(&used)
            .map_err(|fault| LoadError::Start {
                filter: name(),
                reason: fault.reason,
                message: fault.message,
            })?
            .map_err(|message| LoadError::Refused {
                filter: name(),
                message,
            })?;
        let phases = phases(&manifest).map_err(|feature| LoadError::ManifestNotOffered {
            filter: name(),
            feature,
        })?;
        Ok(Arc::new(ComponentFilter::new(
            Arc::clone(&self.code),
            used,
            phases,
        )))
    }

    fn used(&self, filter: &ChainFilter) -> Result<Use, LoadError> {
        let limits = &filter.limits;
        let engine = &self.code.engine;
        Ok(Use {
            slot: self.code.slots.fetch_add(1, Ordering::Relaxed),
            plugin: self.name.clone(),
            filter: filter.name.clone(),
            config: filter.config.clone(),
            sinks: self.sinks(filter)?,
            environment: self.environment(filter),
            memory: usize::try_from(limits.memory).unwrap_or(usize::MAX),
            instances: limits.instances,
            body: limits.body,
            call_ticks: engine.ticks(limits.deadline),
            start_ticks: engine.ticks(limits.deadline.max(EngineConfig::START_DEADLINE)),
            dropped: AtomicBool::new(false),
        })
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

impl fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedPlugin")
            .field("name", &self.name)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

impl Code {
    pub(crate) fn new(
        digest: String,
        imports: Vec<String>,
        engine: Arc<TickingEngine>,
        policy: PolicyPre<State>,
    ) -> Self {
        Self {
            digest,
            imports,
            engine,
            policy,
            pool: Pool::new(),
            slots: AtomicU32::new(0),
            drops: AtomicU64::new(0),
        }
    }

    /// Runs one phase on a warm instance of this thread.
    pub(crate) fn call<R>(
        &self,
        used: &Arc<Use>,
        exchange: &mut Exchange,
        phase: impl FnOnce(&guest::Guest, &mut wasmtime::Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        let drops = self.drops.load(Ordering::Acquire);
        let calls = self.engine.config().calls_per_instance;
        self.pool.with(
            used.instances,
            || Instance::start(&self.engine, &self.policy, used),
            // An instance that grew for a filter with wider limits, or whose guest fails at forgetting another
            // filter, is not this filter's problem: it makes way for a new one.
            |instance| instance.fits(used) && instance.forget_dropped(drops).is_ok(),
            |instance| instance.call(used, exchange, phase),
            |instance| !instance.is_worn(calls),
        )
    }

    /// Notes that a filter is gone: each instance forgets its slot before its next call.
    pub(crate) fn drop_use(&self, used: &Use) {
        used.dropped.store(true, Ordering::Release);
        self.drops.fetch_add(1, Ordering::Release);
    }

    /// Tries a configuration on an instance that no worker will use.
    fn canary(&self, used: &Arc<Use>) -> Result<Result<guest::Manifest, String>, Fault> {
        Instance::start(&self.engine, &self.policy, used)?.configure(used)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code")
            .field("digest", &self.digest)
            .field("imports", &self.imports)
            .finish_non_exhaustive()
    }
}

/// The phases of a manifest, or what in it is not offered.
fn phases(manifest: &guest::Manifest) -> Result<Phases, &'static str> {
    use types::Phases as Wit;
    if manifest.affinity == types::Affinity::Exchange {
        return Err("`affinity: exchange`");
    }
    if manifest
        .phases
        .intersects(Wit::REQUEST_TRAILERS | Wit::RESPONSE_TRAILERS)
    {
        return Err("a trailers phase");
    }
    let known = [
        (Wit::REQUEST_HEAD, Phases::REQUEST_HEAD),
        (Wit::REQUEST_BODY, Phases::REQUEST_BODY),
        (Wit::RESPONSE_HEAD, Phases::RESPONSE_HEAD),
        (Wit::RESPONSE_BODY, Phases::RESPONSE_BODY),
        (Wit::LOG, Phases::LOG),
    ];
    Ok(known
        .into_iter()
        .filter(|(wit, _)| manifest.phases.contains(*wit))
        .map(|(_, phase)| phase)
        .collect())
}

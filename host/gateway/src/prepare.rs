//! From a snapshot's plugins and filters to ready ones. Blocks: file reads and compilation belong on a
//! blocking thread, never on a worker.
//!
//! A filter that cannot be made keeps its last good generation; one without stands broken in its place.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use weir_artifact::Digest;
use weir_filter::{Configured, FailureReason};
use weir_model::{
    BackendTarget, ChainFilter, FilterIndex, Plugin, PluginIndex, PluginSource, Rollout, Snapshot,
};
use weir_runtime::{Background, Configuration, LoadedPlugin, Runtime};

use crate::broken::Broken;
use crate::shadow::{Shadow, ShadowFilter};
use crate::source::{Arrived, reason, request};
use crate::{Failure, Subject};

/// The components embedded in the gateway, by name.
pub type Builtins = HashMap<&'static str, &'static [u8]>;

/// What is loaded, keyed by what it was loaded from: an unchanged part is used again, instances and all.
#[derive(Default)]
pub(crate) struct Prepared {
    plugins: HashMap<(Plugin, Digest), Arc<LoadedPlugin>>,
    /// By the filter's name.
    generations: HashMap<String, Generation>,
    /// The filters of the snapshot, in its order.
    pub(crate) in_order: Vec<Configured>,
    /// Why some of it is not what the snapshot asks for.
    pub(crate) failures: Vec<Failure>,
    /// Plugins whose source cannot be asked for newer bytes, and why.
    stale: Vec<(String, String)>,
}

/// What a filter was made of, and what came of it.
#[derive(Clone)]
struct Generation {
    made_of: MadeOf,
    made: Configured,
    /// Why it only fails, when there never was a good one.
    broken: Option<(FailureReason, String)>,
    /// A newer one that runs beside it.
    shadow: Option<(MadeOf, Arc<ShadowFilter>)>,
}

/// Background work that is to begin, and what its filter is made of.
pub(crate) type Begin = Vec<(MadeOf, Background)>;

/// What a generation is made of: it lives as long as this stays the same.
pub(crate) type MadeOf = (ChainFilter, Plugin, Option<Digest>);

/// Where a snapshot's parts come from.
pub(crate) struct Supply<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) builtins: &'a Builtins,
    pub(crate) arrived: &'a Arrived,
}

impl Prepared {
    /// What is loaded, by the plugin's name.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = (&str, &LoadedPlugin)> {
        self.plugins
            .iter()
            .map(|((plugin, _), loaded)| (plugin.name.as_str(), &**loaded))
    }

    /// The newer generations that run beside the live ones, by the plugin's name.
    pub(crate) fn shadows(&self) -> impl Iterator<Item = (&str, &Shadow)> {
        self.generations
            .values()
            .filter_map(|it| it.shadow.as_ref())
            .map(|((_, plugin, _), shadow)| (plugin.name.as_str(), shadow.report()))
    }

    /// True when a live generation is made of this.
    pub(crate) fn lives(&self, made_of: &MadeOf) -> bool {
        let generation = self.generations.get(&made_of.0.name);
        generation.is_some_and(|it| it.made_of == *made_of)
    }

    /// Why the newest bytes of a plugin cannot be had, although older ones serve.
    pub(crate) fn staleness(&self, plugin: &str) -> Option<&str> {
        let found = self.stale.iter().find(|(name, _)| name == plugin);
        found.map(|(_, why)| why.as_str())
    }

    /// True when the same filters run as before.
    pub(crate) fn same_filters(&self, other: &Self) -> bool {
        self.in_order.len() == other.in_order.len()
            && self
                .in_order
                .iter()
                .zip(&other.in_order)
                .all(|(one, other)| is_same(one, other))
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("filters", &self.in_order.len())
            .finish_non_exhaustive()
    }
}

/// Loads and configures everything a snapshot names, and throws it away: what a gateway would refuse, before
/// one runs. Nothing is fetched: of remote plugins only the request is checked. Blocks.
///
/// # Errors
/// Everything that failed.
pub fn check(
    snapshot: &Snapshot,
    runtime: &Runtime,
    builtins: &Builtins,
    arrived: &Arrived,
) -> Result<(), Vec<Failure>> {
    let supply = Supply {
        runtime,
        builtins,
        arrived,
    };
    let (prepared, _) = prepare(snapshot, &supply, &Prepared::default());
    let failures: Vec<_> = prepared
        .failures
        .into_iter()
        .filter(|it| !it.is_pending)
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures)
    }
}

/// Loads and configures everything a snapshot names.
pub(crate) fn prepare(snapshot: &Snapshot, supply: &Supply<'_>, previous: &Prepared) -> (Prepared, Begin) {
    let mut prepared = Prepared::default();
    let mut begin = Begin::new();
    let mut loaded = Vec::with_capacity(snapshot.plugins.len());
    for plugin in &snapshot.plugins {
        if let Some(why) = supply.arrived.staleness(plugin) {
            prepared.stale.push((plugin.name.clone(), why));
        }
        match load(plugin, supply, previous) {
            Ok((digest, ready)) => {
                prepared
                    .plugins
                    .insert((plugin.clone(), digest), Arc::clone(&ready));
                loaded.push(Ok((digest, ready)));
            }
            Err(failure) => {
                loaded.push(Err((failure.reason, failure.message.clone())));
                prepared.failures.push(failure);
            }
        }
    }
    let handlers = handlers(snapshot);
    for (at, filter) in snapshot.filters.iter().enumerate() {
        let role = if handlers.contains(&FilterIndex(at)) {
            Role::Handler
        } else {
            Role::Filter
        };
        let PluginIndex(index) = filter.plugin;
        let (Some(plugin), Some(loaded)) = (snapshot.plugins.get(index), loaded.get(index)) else {
            continue;
        };
        let before = previous.generations.get(&filter.name);
        let good = before.filter(|it| it.broken.is_none());
        let made = match loaded {
            Ok((digest, ready)) => {
                let wanted = (filter.clone(), plugin.clone(), Some(*digest));
                generation(wanted, role, ready, good, &mut begin)
            }
            // The plugin's own failure says it.
            Err((reason, message)) => Err(Failure {
                subject: subject(filter, plugin),
                reason: *reason,
                message: message.clone(),
                is_pending: false,
            }),
        };
        let made = made.unwrap_or_else(|failure| {
            let why = (failure.reason, failure.message.clone());
            if loaded.is_ok() {
                prepared.failures.push(failure);
            }
            let stays = good.or_else(|| before.filter(|it| it.is_broken_by(filter, plugin, &why)));
            stays
                .cloned()
                .unwrap_or_else(|| Generation::broken(filter, plugin, role, why, supply.runtime))
        });
        prepared.in_order.push(made.running());
        prepared.generations.insert(filter.name.clone(), made);
    }
    refuse_misplaced(snapshot, &mut prepared, previous, supply.runtime);
    (prepared, begin)
}

/// A filter on connections that stands in a route's chain would be left out there without a word.
fn refuse_misplaced(snapshot: &Snapshot, prepared: &mut Prepared, previous: &Prepared, runtime: &Runtime) {
    for misplaced in weir_proxy::misplaced(snapshot, &prepared.in_order) {
        let FilterIndex(at) = misplaced.filter;
        let (Some(filter), Some(place)) = (snapshot.filters.get(at), prepared.in_order.get_mut(at)) else {
            continue;
        };
        let PluginIndex(plugin) = filter.plugin;
        let Some(plugin) = snapshot.plugins.get(plugin) else {
            continue;
        };
        let message = misplaced.to_string();
        let why = (FailureReason::Load, message.clone());
        let before = previous.generations.get(&filter.name);
        let stays = before.filter(|it| it.is_broken_by(filter, plugin, &why)).cloned();
        let refused = stays.unwrap_or_else(|| Generation::broken(filter, plugin, Role::Filter, why, runtime));
        *place = refused.running();
        prepared.generations.insert(filter.name.clone(), refused);
        prepared.failures.push(Failure {
            subject: subject(filter, plugin),
            reason: FailureReason::Load,
            message,
            is_pending: false,
        });
    }
}

impl Generation {
    /// What stands where a filter or handler cannot be made.
    fn broken(
        filter: &ChainFilter,
        plugin: &Plugin,
        role: Role,
        why: (FailureReason, String),
        runtime: &Runtime,
    ) -> Self {
        let telemetry = runtime.telemetry(&plugin.name).filter(&filter.name);
        let (reason, message) = why.clone();
        let broken = Arc::new(Broken::new(filter.name.clone(), reason, message, telemetry));
        Self {
            made_of: (filter.clone(), plugin.clone(), None),
            made: match role {
                Role::Filter => Configured::Filter(broken),
                Role::Handler => Configured::Handler(broken),
            },
            broken: Some(why),
            shadow: None,
        }
    }

    /// True when the same filter could not be made before either, for the same reason.
    fn is_broken_by(&self, filter: &ChainFilter, plugin: &Plugin, why: &(FailureReason, String)) -> bool {
        let (made_of, made_from, _) = &self.made_of;
        self.broken.as_ref() == Some(why) && made_of == filter && made_from == plugin
    }

    /// What stands in the chain.
    fn running(&self) -> Configured {
        match &self.shadow {
            Some((_, shadow)) => Configured::Filter(Arc::clone(shadow) as _),
            None => self.made.clone(),
        }
    }
}

/// The generation that a filter is to have: the one it has, a new one, or the one it has with a new one beside it.
fn generation(
    wanted: MadeOf,
    role: Role,
    plugin: &LoadedPlugin,
    before: Option<&Generation>,
    begin: &mut Begin,
) -> Result<Generation, Failure> {
    let failed = |error: weir_runtime::LoadError| Failure {
        subject: subject(&wanted.0, &wanted.1),
        reason: error.reason(),
        message: error.to_string(),
        is_pending: false,
    };
    if let Some(before) = before {
        if before.made_of == wanted {
            return Ok(Generation {
                shadow: None,
                ..before.clone()
            });
        }
        if before
            .shadow
            .as_ref()
            .is_some_and(|(made_of, _)| *made_of == wanted)
        {
            return Ok(before.clone());
        }
        // A handler makes the response itself: there is nothing to compare before it is there.
        if let (Rollout::Shadow, Configured::Filter(live)) = (wanted.1.rollout, &before.made) {
            let candidate = plugin.shadow(&wanted.0).map_err(failed)?;
            let shadow = ShadowFilter::new(Arc::clone(live), candidate, plugin.telemetry());
            return Ok(Generation {
                shadow: Some((wanted, Arc::new(shadow))),
                ..before.clone()
            });
        }
    }
    let made = match role {
        Role::Handler => Configured::Handler(plugin.handler(&wanted.0).map_err(failed)?),
        Role::Filter => {
            let Configuration { filter, background } = plugin.configure(&wanted.0).map_err(failed)?;
            begin.extend(background.map(|it| (wanted.clone(), it)));
            filter
        }
    };
    Ok(Generation {
        made,
        made_of: wanted,
        broken: None,
        shadow: None,
    })
}

/// What a rule makes of a plugin.
#[derive(Clone, Copy)]
enum Role {
    Filter,
    /// It is a backend.
    Handler,
}

/// The filters that rules name as their backends.
fn handlers(snapshot: &Snapshot) -> HashSet<FilterIndex> {
    let backends = snapshot.routes.iter().flat_map(|route| &route.backends);
    let target = backends.filter_map(|backend| match backend.target {
        BackendTarget::Plugin(index) => Some(index),
        BackendTarget::Cluster(_) | BackendTarget::Unresolved => None,
    });
    target.collect()
}

fn is_same(one: &Configured, other: &Configured) -> bool {
    match (one, other) {
        (Configured::Filter(one), Configured::Filter(other)) => Arc::ptr_eq(one, other),
        (Configured::Handler(one), Configured::Handler(other)) => Arc::ptr_eq(one, other),
        (Configured::Connection(one), Configured::Connection(other)) => Arc::ptr_eq(one, other),
        (Configured::Background, Configured::Background) => true,
        _ => false,
    }
}

fn subject(filter: &ChainFilter, plugin: &Plugin) -> Subject {
    Subject::Filter {
        name: filter.name.clone(),
        plugin: plugin.name.clone(),
        origin: filter.origin.clone(),
    }
}

fn load(
    plugin: &Plugin,
    supply: &Supply<'_>,
    previous: &Prepared,
) -> Result<(Digest, Arc<LoadedPlugin>), Failure> {
    let failed = |reason, message, is_pending| Failure {
        subject: Subject::Plugin(plugin.name.clone()),
        reason,
        message,
        is_pending,
    };
    let (bytes, digest) =
        bytes(plugin, supply).map_err(|(reason, message, is_pending)| failed(reason, message, is_pending))?;
    if let Some(known) = previous.plugins.get(&(plugin.clone(), digest)) {
        return Ok((digest, Arc::clone(known)));
    }
    let loaded = supply
        .runtime
        .load(plugin, &bytes)
        .map_err(|error| failed(error.reason(), error.to_string(), false))?;
    tracing::info!(plugin = plugin.name, digest = loaded.digest(), "plugin loaded");
    Ok((digest, loaded))
}

/// The bytes of a plugin and their digest, or why they are not there and whether they may still come.
fn bytes(plugin: &Plugin, supply: &Supply<'_>) -> Result<(Bytes, Digest), (FailureReason, String, bool)> {
    match &plugin.source {
        PluginSource::Builtin(name) => match supply.builtins.get(name.as_str()) {
            Some(bytes) => Ok((Bytes::from_static(bytes), Digest::of(bytes))),
            None => Err((
                FailureReason::Missing,
                format!(
                    "plugin {}: no built-in {name:?}; there are {}",
                    plugin.name,
                    names(supply.builtins)
                ),
                false,
            )),
        },
        PluginSource::File(path) => {
            let problem =
                |reason, problem: String| (reason, format!("plugin {}: {problem}", plugin.name), false);
            let wrong = |it| problem(FailureReason::Load, it);
            let Some(request) = request(plugin).map_err(wrong)? else {
                return Err(wrong(format!("{} is no file", path.display())));
            };
            let read = tokio::runtime::Handle::current().block_on(supply.arrived.fetcher.fetch(&request));
            read.map(|it| (it.bytes, it.digest))
                .map_err(|error| problem(reason(&error), error.to_string()))
        }
        PluginSource::Http(_) | PluginSource::Oci(_) => match supply.arrived.remote(plugin) {
            Ok(artifact) => Ok((artifact.bytes, artifact.digest)),
            Err(error) => Err((error.reason, error.to_string(), error.is_pending)),
        },
    }
}

fn names(builtins: &Builtins) -> String {
    let mut names: Vec<_> = builtins.keys().copied().collect();
    names.sort_unstable();
    names.join(", ")
}

//! From a snapshot's plugins and filters to ready ones. Blocks: file reads and compilation belong on a
//! blocking thread, never on a worker.
//!
//! A filter that cannot be made keeps its last good generation; one without stands broken in its place.

mod generation;
mod load;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use weir_artifact::Digest;
use weir_filter::{Configured, FailureReason};
use weir_model::{BackendTarget, ChainFilter, FilterIndex, Plugin, PluginIndex, Snapshot};
use weir_runtime::{Background, LoadedPlugin, Runtime};

use crate::shadow::Shadow;
use crate::source::Arrived;
use crate::{Failure, Subject};

pub(crate) use generation::MadeOf;
use generation::{Generation, Role, Standing, Version, generation};
use load::load;

/// The components embedded in the gateway, by name.
pub type Builtins = HashMap<&'static str, &'static [u8]>;

/// What is loaded, keyed by what it was loaded from: an unchanged part is used again, instances and all.
#[derive(Default)]
pub(crate) struct Prepared {
    /// What the snapshot names, whether or not a filter could be made of it.
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

/// Background work that is to begin, and what its filter is made of.
pub(crate) type Begin = Vec<(MadeOf, Background)>;

/// Where a snapshot's parts come from.
pub(crate) struct Supply<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) builtins: &'a Builtins,
    pub(crate) arrived: &'a Arrived,
}

impl Prepared {
    /// The plugins that run, by name, live ones first; and those that were loaded although no filter runs them.
    pub(crate) fn versions(&self) -> Vec<Version<'_>> {
        let mut versions: Vec<_> = self.generations.values().flat_map(Generation::versions).collect();
        for ((plugin, _), loaded) in &self.plugins {
            if !versions.iter().any(|it| it.name == plugin.name) {
                versions.push(Version {
                    name: &plugin.name,
                    loaded,
                    standing: Standing::Idle,
                });
            }
        }
        versions.sort_unstable_by_key(|it| (it.name, it.standing, it.loaded.digest()));
        versions
    }

    /// The newer generations that run beside the live ones, by the plugin's name.
    pub(crate) fn shadows(&self) -> impl Iterator<Item = (&str, &Shadow)> {
        self.generations.values().filter_map(Generation::shadow)
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

    /// True when the same filters run as before, and the same background work.
    pub(crate) fn same_filters(&self, other: &Self) -> bool {
        // Work alone is nothing in a chain that could be told from other work.
        let mut work = self.generations.values().filter(|it| it.is_work_alone());
        work.all(|it| other.lives(&it.made_of))
            && self.in_order.len() == other.in_order.len()
            && self
                .in_order
                .iter()
                .zip(&other.in_order)
                .all(|(one, other)| is_same(one, other))
    }

    /// A plugin that is loaded from these bytes already.
    fn loaded(&self, plugin: &Plugin, digest: Digest) -> Option<&Arc<LoadedPlugin>> {
        let named = self.plugins.get(&(plugin.clone(), digest));
        named.or_else(|| {
            let mut generations = self.generations.values();
            generations.find_map(|it| it.loaded(plugin, digest))
        })
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
        let good = before.filter(|it| it.is_good());
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

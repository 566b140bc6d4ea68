//! Plugin objects → the plugins of documents, whoever uses them.

mod source;

use std::collections::BTreeMap;

use weir_config::document::{self, Cluster, GrantedBackend};
use weir_crds::Kind;
use weir_crds::gateway_api::BackendObjectReference;
use weir_crds::weir::{self, Plugin, PluginSpec, Recycle, RolloutStrategy};

use crate::backend;
use crate::input::Input;
use crate::limit::{self, Defect};
use crate::status::{Condition, ObjectStatus, Status};
use crate::unresolved::{self, Unresolved};

/// What became of every Plugin, by `namespace/name`.
pub(crate) struct Plugins<'a>(BTreeMap<String, PluginState<'a>>);

/// What became of a Plugin.
pub(crate) struct PluginState<'a> {
    object: &'a Plugin,
    defects: Vec<Defect>,
    unresolved: Vec<Unresolved>,
    usable: Option<UsablePlugin>,
}

/// A plugin that can be put into a document, with the clusters that its grants name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UsablePlugin {
    pub(crate) plugin: document::Plugin,
    pub(crate) clusters: Vec<Cluster>,
}

impl<'a> Plugins<'a> {
    /// Judges every Plugin.
    pub(crate) fn evaluate(input: &'a Input) -> Self {
        let state = |it: &'a Plugin| (it.metadata.path(), PluginState::new(input, it));
        Self(input.plugins.iter().map(state).collect())
    }

    /// The plugin of that name, or why there is none to be used.
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Result<&UsablePlugin, String> {
        let path = format!("{namespace}/{name}");
        match self.0.get(&path) {
            None => Err(format!("there is no Plugin {path}")),
            Some(state) => state
                .usable
                .as_ref()
                .ok_or_else(|| format!("Plugin {path} cannot be used; see its status")),
        }
    }

    /// The status of a Plugin, as far as objects alone tell.
    pub(crate) fn status(&self, plugin: &Plugin) -> Option<ObjectStatus> {
        self.0.get(&plugin.metadata.path()).map(PluginState::status)
    }
}

impl<'a> PluginState<'a> {
    fn new(input: &Input, object: &'a Plugin) -> Self {
        let mut state = Self {
            object,
            defects: defects(&object.spec),
            unresolved: Vec::new(),
            usable: None,
        };
        if state.defects.is_empty() {
            state.usable = state.prepare(input);
        }
        state
    }

    /// The plugin as documents have it. `None` when it must not be loaded.
    fn prepare(&mut self, input: &Input) -> Option<UsablePlugin> {
        let (spec, metadata) = (&self.object.spec, &self.object.metadata);
        let source = source::translate(input, self.object, &mut self.unresolved)?;
        let public_key = source::public_key(input, self.object).map_err(|it| self.unresolved.push(it));
        let (mut backends, mut clusters) = (Vec::new(), Vec::new());
        for (index, backend) in spec.backends.iter().enumerate() {
            let at = format!("spec.backends[{index}].backendRef");
            let from = (Kind::Plugin, metadata.namespace());
            let (granted, cluster) = grant(input, from, &backend.name, &backend.backend_ref, &at)
                .unwrap_or_else(|(granted, why)| {
                    self.unresolved.push(why);
                    (granted, None)
                });
            backends.push(granted);
            clusters.extend(cluster);
        }
        let plugin = document::Plugin {
            name: metadata.path(),
            source,
            digest: spec.digest.clone(),
            // Without the key nobody could tell whose bytes they are.
            public_key: public_key.ok()?,
            capabilities: spec.capabilities.clone(),
            limits: limit::limits(&spec.limits).ok()?,
            isolation: isolation(spec.isolation),
            rollout: match spec.rollout.strategy {
                RolloutStrategy::Replace => document::Rollout::Replace,
                RolloutStrategy::Shadow => document::Rollout::Shadow,
            },
            recycle: recycle(&spec.recycle).ok()?,
            backends,
        };
        Some(UsablePlugin { plugin, clusters })
    }

    fn status(&self) -> ObjectStatus {
        let (spec, metadata) = (&self.object.spec, &self.object.metadata);
        let generation = metadata.generation();
        let accepted = match self.defects.is_empty() {
            true => Condition::new("Accepted", true, "Accepted", "the object is valid", generation),
            false => Condition::new(
                "Accepted",
                false,
                "Invalid",
                limit::lines(&self.defects).join("; "),
                generation,
            ),
        };
        let mut conditions = vec![accepted];
        if self.defects.is_empty() && (!spec.backends.is_empty() || source::has_references(spec)) {
            let unresolved: Vec<_> = self.unresolved.iter().collect();
            conditions.push(unresolved::condition(&unresolved, generation));
        }
        let status = Status {
            conditions,
            ..Status::default()
        };
        ObjectStatus::new(Kind::Plugin, metadata, status)
    }
}

/// Resolves a backend that callouts may go to. One that leads nowhere stays granted without a cluster, so
/// that a callout to it fails and says so.
pub(crate) fn grant(
    input: &Input,
    from: (Kind, &str),
    name: &str,
    reference: &BackendObjectReference,
    at: &str,
) -> Result<(GrantedBackend, Option<Cluster>), (GrantedBackend, Unresolved)> {
    let granted = |cluster: Option<&Cluster>| GrantedBackend {
        name: name.to_owned(),
        cluster: cluster.map(|it| it.name.clone()),
    };
    match backend::resolve(input, from, &reference.into()) {
        Ok(cluster) => Ok((granted(Some(&cluster)), Some(cluster))),
        Err(why) => Err((granted(None), why.at(at, "; callouts to it fail"))),
    }
}

pub(crate) const fn isolation(isolation: weir::Isolation) -> document::Isolation {
    match isolation {
        weir::Isolation::Warm => document::Isolation::Warm,
        weir::Isolation::Fresh => document::Isolation::Fresh,
    }
}

/// Everything that is wrong with a Plugin, other objects left aside.
pub(crate) fn defects(spec: &PluginSpec) -> Vec<Defect> {
    let mut defects = source::defects(spec);
    if let Some(digest) = &spec.digest {
        let hex = digest.strip_prefix("sha256:");
        if !hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())) {
            defects.push((
                "spec.digest".to_owned(),
                format!("{digest:?} is not sha256: and 64 hex digits"),
            ));
        }
    }
    defects.extend(limit::capability_defects(&spec.capabilities));
    defects.extend(repeated(spec.backends.iter().map(|it| it.name.as_str())));
    defects.extend(limit::limits(&spec.limits).err().into_iter().flatten());
    defects.extend(recycle(&spec.recycle).err().into_iter().flatten());
    defects
}

/// The names under `spec.backends` that stand twice.
pub(crate) fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Defect> {
    let mut seen = std::collections::BTreeSet::new();
    let twice = names.enumerate().filter(|(_, name)| !seen.insert(*name));
    twice
        .map(|(index, name)| {
            let message = format!("{name:?} stands twice; names are unique");
            (format!("spec.backends[{index}].name"), message)
        })
        .collect()
}

fn recycle(recycle: &Recycle) -> Result<document::Recycle, Vec<Defect>> {
    let mut defects = Vec::new();
    let age_millis = recycle.age.as_ref().and_then(|text| {
        let millis = limit::millis(text).filter(|it| *it >= 1000);
        if millis.is_none() {
            let message = format!("{text:?} is no duration of a second or more; write something like 1h");
            defects.push(("spec.recycle.age".to_owned(), message));
        }
        millis
    });
    if recycle.calls == Some(0) {
        defects.push(("spec.recycle.calls".to_owned(), "write 1 or more".to_owned()));
    }
    if recycle.memory_percent.is_some_and(|it| !(1..=100).contains(&it)) {
        defects.push((
            "spec.recycle.memoryPercent".to_owned(),
            "write 1 to 100".to_owned(),
        ));
    }
    match defects.is_empty() {
        true => Ok(document::Recycle {
            calls: recycle.calls,
            age_millis,
            memory_percent: recycle.memory_percent,
        }),
        false => Err(defects),
    }
}

//! Weir's PluginPolicy → a filter of a user's plugin. Policies stack: none replaces another, and one that
//! cannot be put in place fails as its failure mode says.

use weir_config::document::{self, Cluster, FailureMode, Filter, GrantedBackend};
use weir_crds::weir::{self, PluginPolicy, PluginPolicySpec, UsedBackend};
use weir_crds::{Kind, ObjectMeta};
use weir_model::Stage;

use super::Governed;
use super::report::Report;
use super::site::Site;
use super::target::Targets;
use crate::chain::Link;
use crate::input::Input;
use crate::limit::{self, Defect};
use crate::plugin::{Plugins, UsablePlugin, grant, isolation, repeated};
use crate::route::Extension;
use crate::unresolved::Unresolved;

/// A policy with its targets and its filter.
pub(super) struct State<'a> {
    policy: &'a PluginPolicy,
    targets: Targets,
    /// The filter with its plugin; absent when there is something wrong.
    prepared: Option<(Link, UsablePlugin)>,
    pub(super) report: Report<'a>,
}

impl<'a> State<'a> {
    pub(super) fn new(input: &Input, plugins: &Plugins<'_>, policy: &'a PluginPolicy) -> Self {
        let spec = &policy.spec;
        let kinds = [Kind::Gateway, Kind::HTTPRoute];
        let targets = Targets::resolve(
            input,
            &policy.metadata,
            &kinds,
            &spec.target_refs,
            &spec.target_selectors,
        );
        let mut unresolved = Vec::new();
        let prepared = prepare(input, plugins, policy, &mut unresolved);
        let (prepared, defects) = match prepared {
            Ok(prepared) => (Some(prepared), Vec::new()),
            Err(mut defects) => {
                defects.push(match spec.failure_mode {
                    weir::FailureMode::Closed => "what the policy governs answers 500".to_owned(),
                    weir::FailureMode::Open => "what the policy governs works without it".to_owned(),
                });
                (None, defects)
            }
        };
        let mut report = Report::new(
            Kind::PluginPolicy,
            &policy.metadata,
            &targets,
            defects,
            prepared.is_some(),
        );
        let named = spec.backends.iter().flatten();
        if prepared.is_some() && named.into_iter().any(|it| it.backend_ref.is_some()) {
            report.references(unresolved);
        }
        Self {
            policy,
            targets,
            prepared,
            report,
        }
    }
}

/// Adds the filters of the policies attached to a place: those of the Gateway and listener to a listener,
/// those of the route and rule to a rule.
pub(super) fn govern(policies: &mut [State<'_>], site: &Site<'_>, governed: &mut Governed) {
    for state in policies {
        let named = site.extensions().iter().any(
            |it| matches!(it, Extension::PluginPolicy(it) if same(&it.metadata, &state.policy.metadata)),
        );
        let attached = state
            .targets
            .level(site)
            .is_some_and(|it| it.is_of_route() == site.rule.is_some());
        if !named && !attached {
            continue;
        }
        state.report.reaches(site);
        match &state.prepared {
            Some((link, plugin)) => {
                governed.links.push(link.clone());
                governed.plugins.push(plugin.clone());
                state.report.applied(site);
            }
            None if state.policy.spec.failure_mode == weir::FailureMode::Closed => {
                let object = state.report.object();
                governed.fault = Some(format!(
                    "{object} cannot be applied: {}",
                    state.report.defects.join("; ")
                ));
            }
            None => {}
        }
    }
}

fn same(a: &ObjectMeta, b: &ObjectMeta) -> bool {
    a.namespace() == b.namespace() && a.name == b.name
}

/// A filter with its plugin, or everything that keeps it from being put in place.
fn prepare(
    input: &Input,
    plugins: &Plugins<'_>,
    policy: &PluginPolicy,
    unresolved: &mut Vec<Unresolved>,
) -> Result<(Link, UsablePlugin), Vec<String>> {
    let spec = &policy.spec;
    let (namespace, path) = (policy.metadata.namespace(), policy.metadata.path());
    let usable = plugins.find(namespace, &spec.plugin.name);
    let mut usable = usable
        .map_err(|why| vec![format!("spec.plugin.name: {why}")])?
        .clone();
    let plugin = &usable.plugin;
    let limits = narrowed(spec, plugin).map_err(|defects| limit::lines(&defects))?;
    let backends = spec.backends.as_ref().map(|backends| {
        let from = (Kind::PluginPolicy, namespace);
        let (own, clusters) = backends_of_use(input, from, backends, plugin, unresolved);
        usable.clusters.extend(clusters);
        own
    });
    let filter = Filter {
        name: format!("PluginPolicy/{path}"),
        plugin: usable.plugin.name.clone(),
        config: spec.config.clone(),
        stage: stage(spec.stage).to_string(),
        failure_mode: match spec.failure_mode {
            weir::FailureMode::Closed => FailureMode::Closed,
            weir::FailureMode::Open => FailureMode::Open,
        },
        capabilities: spec.capabilities.clone(),
        limits,
        isolation: spec.isolation.map(isolation),
        backends,
        origin: vec![format!("PluginPolicy {path}")],
    };
    let link = Link {
        filter,
        predicate: spec.predicate,
        weight: spec.weight.into(),
    };
    Ok((link, usable))
}

/// The limits of a use, or everywhere that it is wider than its plugin.
fn narrowed(spec: &PluginPolicySpec, plugin: &document::Plugin) -> Result<document::Limits, Vec<Defect>> {
    let mut defects = Vec::new();
    let limits = limit::limits_of_use(&spec.limits).unwrap_or_else(|found| {
        defects.extend(found);
        document::Limits::default()
    });
    defects.extend(limit::wider(&plugin.limits, &limits));
    defects.extend(grant_defects(spec, plugin));
    if spec.isolation == Some(weir::Isolation::Warm) && plugin.isolation == document::Isolation::Fresh {
        let message = format!(
            "Plugin {} is Fresh, and a use of it cannot be Warm; remove it",
            plugin.name
        );
        defects.push(("spec.isolation".to_owned(), message));
    }
    match defects.is_empty() {
        true => Ok(limits),
        false => Err(defects),
    }
}

/// What a use asks for beyond its plugin's grants.
fn grant_defects(spec: &PluginPolicySpec, plugin: &document::Plugin) -> Vec<Defect> {
    let mut defects = Vec::new();
    let capabilities = spec.capabilities.as_deref().unwrap_or_default();
    defects.extend(limit::capability_defects(capabilities));
    for (index, extra) in capabilities.iter().enumerate() {
        if !plugin.capabilities.contains(extra) {
            let message = format!("{extra} is not granted to Plugin {}; grant it there", plugin.name);
            defects.push((format!("spec.capabilities[{index}]"), message));
        }
    }
    let backends = spec.backends.as_deref().unwrap_or_default();
    defects.extend(repeated(backends.iter().map(|it| it.name.as_str())));
    for (index, extra) in backends.iter().enumerate() {
        if !plugin.backends.iter().any(|it| it.name == extra.name) {
            let message = format!(
                "backend {:?} is not granted to Plugin {}; grant it there",
                extra.name, plugin.name
            );
            defects.push((format!("spec.backends[{index}].name"), message));
        }
    }
    defects
}

/// The backends of a use with the clusters of its own references; what it does not name itself is the
/// plugin's.
fn backends_of_use(
    input: &Input,
    from: (Kind, &str),
    backends: &[UsedBackend],
    plugin: &document::Plugin,
    unresolved: &mut Vec<Unresolved>,
) -> (Vec<GrantedBackend>, Vec<Cluster>) {
    let (mut own, mut clusters) = (Vec::new(), Vec::new());
    for (index, backend) in backends.iter().enumerate() {
        let Some(reference) = &backend.backend_ref else {
            own.extend(plugin.backends.iter().find(|it| it.name == backend.name).cloned());
            continue;
        };
        let at = format!("spec.backends[{index}].backendRef");
        let (granted, cluster) =
            grant(input, from, &backend.name, reference, &at).unwrap_or_else(|(granted, why)| {
                unresolved.push(why);
                (granted, None)
            });
        own.push(granted);
        clusters.extend(cluster);
    }
    (own, clusters)
}

const fn stage(stage: weir::Stage) -> Stage {
    match stage {
        weir::Stage::Fault => Stage::Fault,
        weir::Stage::Cors => Stage::Cors,
        weir::Stage::Waf => Stage::Waf,
        weir::Stage::Authn => Stage::Authn,
        weir::Stage::Authz => Stage::Authz,
        weir::Stage::RateLimit => Stage::RateLimit,
        weir::Stage::Accepted => Stage::Accepted,
        weir::Stage::OutAuth => Stage::OutAuth,
        weir::Stage::Route => Stage::Route,
    }
}

//! Weir's PluginPolicy → a filter of a user's plugin. Policies stack: none replaces another, and one that
//! cannot be put in place fails as its failure mode says.

use weir_config::document::{self, FailureMode, Filter};
use weir_crds::weir::{self, Plugin, PluginPolicy};
use weir_crds::{Kind, ObjectMeta};
use weir_model::Stage;

use super::Governed;
use super::report::{self, Report};
use super::site::Site;
use super::target::Targets;
use crate::chain::Link;
use crate::input::Input;
use crate::limit;
use crate::route::Extension;
use crate::status::ObjectStatus;

/// A policy with its targets and its filter.
pub(super) struct State<'a> {
    policy: &'a PluginPolicy,
    targets: Targets,
    /// The filter with its plugin; absent when there is something wrong.
    prepared: Option<(Link, document::Plugin)>,
    pub(super) report: Report<'a>,
}

impl<'a> State<'a> {
    pub(super) fn new(input: &Input, policy: &'a PluginPolicy) -> Self {
        let spec = &policy.spec;
        let kinds = [Kind::Gateway, Kind::HTTPRoute];
        let targets = Targets::resolve(
            input,
            &policy.metadata,
            &kinds,
            &spec.target_refs,
            &spec.target_selectors,
        );
        let prepared = prepare(input, policy);
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
        let report = Report::new(
            Kind::PluginPolicy,
            &policy.metadata,
            &targets,
            defects,
            prepared.is_some(),
        );
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

fn prepare(input: &Input, policy: &PluginPolicy) -> Result<(Link, document::Plugin), Vec<String>> {
    let spec = &policy.spec;
    let (namespace, path) = (policy.metadata.namespace(), policy.metadata.path());
    let Some(plugin) = input.plugin(namespace, &spec.plugin.name) else {
        return Err(vec![format!(
            "spec.plugin.name: there is no Plugin {namespace}/{}",
            spec.plugin.name
        )]);
    };
    let plugin = document_plugin(plugin).map_err(|_| {
        vec![format!(
            "spec.plugin.name: Plugin {namespace}/{} is not valid; see its status",
            spec.plugin.name
        )]
    })?;
    let mut defects = Vec::new();
    let limits = limit::limits(&spec.limits).unwrap_or_else(|found| {
        defects.extend(found);
        document::Limits::default()
    });
    defects.extend(limit::wider(&plugin.limits, &limits));
    if let Some(capabilities) = &spec.capabilities {
        defects.extend(limit::capability_defects(capabilities));
        for (index, extra) in capabilities
            .iter()
            .enumerate()
            .filter(|(_, it)| !plugin.capabilities.contains(it))
        {
            let message = format!("{extra} is not granted to Plugin {}; grant it there", plugin.name);
            defects.push((format!("spec.capabilities[{index}]"), message));
        }
    }
    if !defects.is_empty() {
        return Err(lines(defects));
    }
    let filter = Filter {
        name: format!("PluginPolicy/{path}"),
        plugin: plugin.name.clone(),
        config: spec.config.clone(),
        stage: stage(spec.stage).to_string(),
        failure_mode: match spec.failure_mode {
            weir::FailureMode::Closed => FailureMode::Closed,
            weir::FailureMode::Open => FailureMode::Open,
        },
        capabilities: spec.capabilities.clone(),
        limits,
        origin: vec![format!("PluginPolicy {path}")],
    };
    Ok((
        Link {
            filter,
            predicate: spec.predicate,
            weight: spec.weight.into(),
        },
        plugin,
    ))
}

fn document_plugin(plugin: &Plugin) -> Result<document::Plugin, Vec<String>> {
    let spec = &plugin.spec;
    let defects = limit::plugin_defects(spec);
    let source = match (&spec.source.file, &spec.source.builtin) {
        (Some(file), None) => Some(document::Source::File(file.path.clone())),
        (None, Some(builtin)) => Some(document::Source::Builtin(builtin.name.clone())),
        _ => None,
    };
    match (source, limit::limits(&spec.limits)) {
        (Some(source), Ok(limits)) if defects.is_empty() => Ok(document::Plugin {
            name: plugin.metadata.path(),
            source,
            digest: spec.digest.clone(),
            capabilities: spec.capabilities.clone(),
            limits,
        }),
        _ => Err(lines(defects)),
    }
}

fn lines(defects: Vec<limit::Defect>) -> Vec<String> {
    defects
        .into_iter()
        .map(|(field, message)| format!("{field}: {message}"))
        .collect()
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

/// The status of a Plugin, as far as its object alone tells.
pub(super) fn status(plugin: &Plugin) -> ObjectStatus {
    let defects = document_plugin(plugin).err().unwrap_or_default();
    report::object_status(Kind::Plugin, &plugin.metadata, &defects)
}

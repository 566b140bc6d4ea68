//! One rule of a route: its matches, its shares of traffic and the objects its filters name.

use std::collections::BTreeSet;

use weir_config::document::{Backend, Cluster, FailureMode, Filter, Limits, Match};
use weir_crds::Kind;
use weir_crds::gateway_api::{HttpBackendRef, HttpRoute, HttpRouteRule, LocalObjectReference};
use weir_crds::kgateway::{DirectResponse, TrafficPolicy};
use weir_crds::weir::PluginPolicy;
use weir_model::Stage;

use crate::backend;
use crate::grant;
use crate::input::{Input, named};
use crate::plugin::{Plugins, UsablePlugin};
use crate::unresolved::Unresolved;

/// A rule with all it refers to.
pub(crate) struct RuleState<'a> {
    /// `namespace/route/rule`.
    pub(crate) name: String,
    /// What policies call it.
    pub(crate) section: Option<&'a str>,
    pub(crate) matches: Vec<Match>,
    pub(crate) backends: Vec<Backend>,
    pub(crate) clusters: Vec<Cluster>,
    /// Plugins that answer a share of the traffic, each with its filter.
    pub(crate) handlers: Vec<(Filter, UsablePlugin)>,
    pub(crate) extensions: Vec<Extension<'a>>,
    /// References that lead nowhere.
    pub(crate) unresolved: Vec<Unresolved>,
    /// Parts that contradict each other.
    pub(crate) conflict: Option<String>,
    /// A filter is missing: without it the rule must not be served.
    lost_filter: Option<String>,
}

impl RuleState<'_> {
    /// Why the rule answers 500, when it does.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.conflict.as_deref().or(self.lost_filter.as_deref())
    }
}

/// An object that a filter of the rule names.
#[derive(Clone, Copy)]
pub(crate) enum Extension<'a> {
    DirectResponse(&'a DirectResponse),
    TrafficPolicy(&'a TrafficPolicy),
    PluginPolicy(&'a PluginPolicy),
}

/// The rules of a route, and what is wrong with their matches.
pub(super) fn evaluate<'a>(
    input: &'a Input,
    plugins: &Plugins<'_>,
    route: &'a HttpRoute,
) -> (Vec<RuleState<'a>>, Vec<String>) {
    let (mut rules, mut defects, mut names) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (index, rule) in route.spec.rules.iter().enumerate() {
        let name = match &rule.name {
            // An index is the name of what has none, so a name must not look like one.
            Some(name) if !name.bytes().all(|b| b.is_ascii_digit()) && names.insert(name.clone()) => {
                name.clone()
            }
            _ => index.to_string(),
        };
        let at = format!("spec.rules[{index}]");
        let matches = rule.matches.iter().enumerate();
        let matches = matches
            .map(|(index, it)| {
                super::condition::translate(&format!("{at}.matches[{index}]"), it, &mut defects)
            })
            .collect();
        let mut state = RuleState {
            name: format!("{}/{name}", route.metadata.path()),
            section: rule.name.as_deref(),
            matches,
            backends: Vec::new(),
            clusters: Vec::new(),
            handlers: Vec::new(),
            extensions: Vec::new(),
            unresolved: Vec::new(),
            conflict: None,
            lost_filter: None,
        };
        state.resolve_backends(input, plugins, route, rule, &at);
        state.resolve_extensions(input, route, rule, &at);
        state.check_direct_response(&at);
        rules.push(state);
    }
    (rules, defects)
}

impl<'a> RuleState<'a> {
    fn resolve_backends(
        &mut self,
        input: &Input,
        plugins: &Plugins<'_>,
        route: &HttpRoute,
        rule: &HttpRouteRule,
        at: &str,
    ) {
        let from = (Kind::HTTPRoute, route.metadata.namespace());
        for (index, reference) in rule.backend_refs.iter().enumerate() {
            let mut backend = Backend {
                cluster: None,
                handler: None,
                weight: reference.weight.unwrap_or(1),
            };
            let found = if names_plugin(reference) {
                handler(input, plugins, from, reference).map(|(filter, plugin)| {
                    backend.handler = Some(filter.name.clone());
                    self.handlers.push((filter, plugin));
                })
            } else {
                backend::resolve(input, from, &reference.into()).map(|cluster| {
                    backend.cluster = Some(cluster.name.clone());
                    self.clusters.push(cluster);
                })
            };
            if let Err(why) = found {
                self.unresolved
                    .push(why.at(&format!("{at}.backendRefs[{index}]"), ""));
            }
            self.backends.push(backend);
        }
    }

    fn resolve_extensions(&mut self, input: &'a Input, route: &HttpRoute, rule: &HttpRouteRule, at: &str) {
        for (index, filter) in rule.filters.iter().enumerate() {
            let Some(reference) = &filter.extension_ref else {
                continue;
            };
            match extension(input, route.metadata.namespace(), reference) {
                Ok(extension) => self.extensions.push(extension),
                Err(Unresolved { reason, message }) => {
                    let message =
                        format!("{at}.filters[{index}].extensionRef: {message}; the rule answers 500");
                    self.lost_filter = Some(message.clone());
                    self.unresolved.push(Unresolved::new(reason, message));
                }
            }
        }
    }

    fn check_direct_response(&mut self, at: &str) {
        let responses: Vec<_> = self
            .extensions
            .iter()
            .filter_map(|it| match it {
                Extension::DirectResponse(it) => Some(*it),
                _ => None,
            })
            .collect();
        let [response] = responses.as_slice() else {
            if responses.len() > 1 {
                self.conflict = Some(format!("{at}.filters: one DirectResponse is allowed in a rule"));
            }
            return;
        };
        if !self.backends.is_empty() {
            self.conflict = Some(format!(
                "{at}: a DirectResponse excludes backendRefs; remove one of the two"
            ));
        } else if response.spec.body_format.is_some() {
            let path = response.metadata.path();
            self.conflict = Some(format!(
                "{at}.filters: DirectResponse {path} sets spec.bodyFormat, which is not supported"
            ));
        }
    }
}

fn names_plugin(reference: &HttpBackendRef) -> bool {
    let plugin = Kind::Plugin;
    reference.group.as_deref() == Some(plugin.group()) && reference.kind.as_deref() == Some(plugin.as_str())
}

/// The plugin that answers instead of a backend, with the one filter that all rules share.
fn handler(
    input: &Input,
    plugins: &Plugins<'_>,
    from: (Kind, &str),
    reference: &HttpBackendRef,
) -> Result<(Filter, UsablePlugin), Unresolved> {
    let namespace = reference.namespace.as_deref().unwrap_or(from.1);
    let name = &reference.name;
    if !grant::allows(input, from, Kind::Plugin, namespace, name) {
        let message =
            format!("Plugin {namespace}/{name} is in another namespace, where no ReferenceGrant allows this");
        return Err(Unresolved::new("RefNotPermitted", message));
    }
    if reference.port.is_some() {
        return Err(Unresolved::new("InvalidPort", "a Plugin has no port; remove it"));
    }
    let usable = plugins.find(namespace, name);
    let usable = usable.map_err(|why| Unresolved::new("BackendNotFound", why))?;
    let filter = Filter {
        name: format!("handler/{namespace}/{name}"),
        plugin: usable.plugin.name.clone(),
        config: serde_json::Value::Null,
        stage: Stage::Route.to_string(),
        failure_mode: FailureMode::Closed,
        capabilities: None,
        limits: Limits::default(),
        isolation: None,
        backends: None,
        origin: vec![format!("Plugin {namespace}/{name}")],
    };
    Ok((filter, usable.clone()))
}

fn extension<'a>(
    input: &'a Input,
    namespace: &str,
    reference: &LocalObjectReference,
) -> Result<Extension<'a>, Unresolved> {
    let LocalObjectReference { group, kind, name } = reference;
    let is = |it: Kind| it.group() == group && it.as_str() == kind;
    let found = if is(Kind::DirectResponse) {
        let mut all = input.direct_responses.iter();
        all.find(|it| named(&it.metadata, namespace, name))
            .map(Extension::DirectResponse)
    } else if is(Kind::TrafficPolicy) {
        let mut all = input.traffic_policies.iter();
        all.find(|it| named(&it.metadata, namespace, name))
            .map(Extension::TrafficPolicy)
    } else if is(Kind::PluginPolicy) {
        let mut all = input.plugin_policies.iter();
        all.find(|it| named(&it.metadata, namespace, name))
            .map(Extension::PluginPolicy)
    } else {
        let message = format!(
            "{kind} of group {group:?} is no filter; name a kgateway DirectResponse or TrafficPolicy, or a Weir PluginPolicy"
        );
        return Err(Unresolved::new("InvalidKind", message));
    };
    found.ok_or_else(|| {
        Unresolved::new(
            "BackendNotFound",
            format!("there is no {kind} {namespace}/{name}"),
        )
    })
}

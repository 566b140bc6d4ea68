//! Puts the document of one Gateway together: listeners, routes, chains and what they name.

use std::collections::BTreeMap;

use weir_config::Document;
use weir_config::document::{
    Backend, Cluster, Filter, Isolation, Limits, Listener, Plugin, Protocol, Recycle, Rollout, Route, Source,
};

use crate::chain::{self, ChainView, GatewayChains, Link};
use crate::gateway::GatewayState;
use crate::plugin::UsablePlugin;
use crate::policy::{Governed, Policies, Site};
use crate::route::{RouteState, RuleState};

/// Names to values, so that each is written once and in one order.
#[derive(Default)]
struct Parts {
    filters: BTreeMap<String, Filter>,
    plugins: BTreeMap<String, Plugin>,
    clusters: BTreeMap<String, Cluster>,
}

/// The chain of one rule on one listener.
struct RuleChain {
    listener: usize,
    links: Vec<Link>,
    view: ChainView,
}

/// The document of a Gateway, and its chains for people.
pub(crate) fn assemble<'a>(
    index: usize,
    gateway: &'a GatewayState<'a>,
    routes: &'a [RouteState<'a>],
    policies: &mut Policies<'_>,
) -> (Document, GatewayChains) {
    let mut parts = Parts::default();
    let mut chains = GatewayChains {
        gateway: gateway.key.clone(),
        ..GatewayChains::default()
    };
    let mut listeners = Vec::new();
    // Why a whole listener must answer 500.
    let mut faults = Vec::new();
    for state in &gateway.listeners {
        let site = Site {
            gateway,
            listener: state,
            rule: None,
        };
        let Governed {
            mut links,
            overridden,
            plugins,
            fault,
        } = policies.listener(&site);
        faults.push(fault.clone());
        chain::order(&mut links);
        if !state.is_usable() {
            continue;
        }
        let name = format!("{}/{}", gateway.key, state.name());
        let names = parts.add(&links, plugins);
        chains
            .listeners
            .push(ChainView::new(name.clone(), &links, overridden, fault));
        listeners.push(Listener {
            name,
            address: gateway.address.clone(),
            port: state.listener.port,
            protocol: Protocol::Http,
            hostname: state.hostname.as_ref().map(ToString::to_string),
            chain: names,
            routes: Vec::new(),
        });
    }
    let mut written = Vec::new();
    for route in routes {
        let attached: Vec<_> = route
            .attachments()
            .into_iter()
            .filter(|(it, _)| *it == index)
            .map(|(_, it)| it)
            .collect();
        for rule in &route.rules {
            let places = rule_chains(gateway, route, rule, &attached, &faults, policies, &mut parts);
            for (listener, name) in write_rule(route, rule, places, &mut parts, &mut written, &mut chains) {
                if let Some(listener) = listeners.iter_mut().find(|it| it.name == listener) {
                    listener.routes.push(name);
                }
            }
        }
    }
    let document = Document {
        version: Document::VERSION.to_owned(),
        gateway: gateway.key.clone(),
        detail_header: gateway.detail_header(),
        listeners,
        routes: written,
        filters: parts.filters.into_values().collect(),
        plugins: parts.plugins.into_values().collect(),
        clusters: parts.clusters.into_values().collect(),
    };
    (document, chains)
}

/// The chain of a rule on each listener that its route is attached to and that runs.
fn rule_chains<'a>(
    gateway: &'a GatewayState<'a>,
    route: &'a RouteState<'a>,
    rule: &'a RuleState<'a>,
    attached: &[usize],
    faults: &[Option<String>],
    policies: &mut Policies<'_>,
    parts: &mut Parts,
) -> Vec<RuleChain> {
    let mut found = Vec::new();
    for &index in attached {
        let Some(listener) = gateway.listeners.get(index) else {
            continue;
        };
        let site = Site {
            gateway,
            listener,
            rule: Some((route.route, rule)),
        };
        let Governed {
            mut links,
            overridden,
            plugins,
            fault,
        } = policies.rule(&site);
        if !listener.is_usable() {
            continue;
        }
        let of_listener = faults.get(index).cloned().flatten();
        let fault = rule.fault().map(str::to_owned).or(fault).or(of_listener);
        if fault.is_some() {
            links.clear();
        }
        chain::order(&mut links);
        parts.add(&links, if fault.is_some() { Vec::new() } else { plugins });
        let mut view = ChainView::new(rule.name.clone(), &links, overridden, fault);
        view.listeners = vec![format!("{}/{}", gateway.key, listener.name())];
        found.push(RuleChain {
            listener: index,
            links,
            view,
        });
    }
    found
}

/// Writes a rule once if all its listeners give it the same chain, else once for each listener. Returns
/// which listener gets which route.
fn write_rule(
    route: &RouteState<'_>,
    rule: &RuleState<'_>,
    mut places: Vec<RuleChain>,
    parts: &mut Parts,
    written: &mut Vec<Route>,
    chains: &mut GatewayChains,
) -> Vec<(String, String)> {
    places.sort_by_key(|it| it.listener);
    let is_uniform = places.windows(2).all(|pair| match pair {
        [a, b] => a.links == b.links && a.view.fault == b.view.fault,
        _ => true,
    });
    if is_uniform && places.len() > 1 {
        let others: Vec<_> = places.drain(1..).flat_map(|it| it.view.listeners).collect();
        places
            .iter_mut()
            .for_each(|it| it.view.listeners.extend(others.iter().cloned()));
    }
    let mut names = Vec::new();
    for mut place in places {
        if !is_uniform {
            let listener = place
                .view
                .listeners
                .first()
                .and_then(|it| it.rsplit('/').next())
                .unwrap_or_default();
            place.view.name = format!("{}@{listener}", rule.name);
        }
        let is_faulty = place.view.fault.is_some();
        let backends: Vec<Backend> = if is_faulty {
            Vec::new()
        } else {
            rule.backends.clone()
        };
        if !is_faulty {
            parts.add_clusters(&rule.clusters);
            for (filter, plugin) in &rule.handlers {
                parts.add_plugin(plugin.clone());
                parts.filters.insert(filter.name.clone(), filter.clone());
            }
        }
        written.push(Route {
            name: place.view.name.clone(),
            hostnames: route
                .route
                .spec
                .hostnames
                .iter()
                .map(|it| it.to_ascii_lowercase())
                .collect(),
            matches: rule.matches.clone(),
            chain: place.links.iter().map(|it| it.filter.name.clone()).collect(),
            backends,
        });
        names.extend(
            place
                .view
                .listeners
                .iter()
                .map(|it| (it.clone(), place.view.name.clone())),
        );
        chains.routes.push(place.view);
    }
    names
}

impl Parts {
    /// Takes in the filters of a chain with their plugins; returns the filters' names.
    fn add(&mut self, links: &[Link], plugins: Vec<UsablePlugin>) -> Vec<String> {
        plugins.into_iter().for_each(|it| self.add_plugin(it));
        for link in links {
            let filter = &link.filter;
            if let Some(builtin) = filter.plugin.strip_prefix("builtin/") {
                self.grant(builtin, filter);
            }
            self.filters.insert(filter.name.clone(), filter.clone());
        }
        links.iter().map(|it| it.filter.name.clone()).collect()
    }

    fn add_plugin(&mut self, usable: UsablePlugin) {
        self.add_clusters(&usable.clusters);
        self.plugins.insert(usable.plugin.name.clone(), usable.plugin);
    }

    fn add_clusters(&mut self, clusters: &[Cluster]) {
        let named = clusters.iter().map(|it| (it.name.clone(), it.clone()));
        self.clusters.extend(named);
    }

    /// A built-in is granted what its filters ask for, together.
    fn grant(&mut self, builtin: &str, filter: &Filter) {
        let plugin = self
            .plugins
            .entry(filter.plugin.clone())
            .or_insert_with(|| Plugin {
                name: filter.plugin.clone(),
                source: Source::Builtin(builtin.to_owned()),
                digest: None,
                public_key: None,
                capabilities: Vec::new(),
                limits: Limits::default(),
                isolation: Isolation::default(),
                rollout: Rollout::default(),
                recycle: Recycle::default(),
                backends: Vec::new(),
            });
        plugin
            .capabilities
            .extend(filter.capabilities.iter().flatten().cloned());
        plugin.capabilities.sort_unstable();
        plugin.capabilities.dedup();
    }
}

//! HTTPRoutes: where they attach, what their rules say, and their status.

mod attach;
mod condition;
mod rule;
mod unsupported;

use weir_crds::Kind;
use weir_crds::gateway_api::HttpRoute;
use weir_model::Hostname;

use crate::gateway::GatewayState;
use crate::input::Input;
use crate::plugin::Plugins;
use crate::status::{Condition, ObjectStatus, RouteParentStatus, Status, controller_name};
use crate::unresolved;

pub(crate) use attach::ParentState;
pub(crate) use rule::{Extension, RuleState};

/// A route that names a Gateway of ours.
pub(crate) struct RouteState<'a> {
    pub(crate) route: &'a HttpRoute,
    pub(crate) parents: Vec<ParentState>,
    pub(crate) rules: Vec<RuleState<'a>>,
    /// Fields that this version cannot honour; then nothing of the route is programmed.
    unsupported: Vec<String>,
}

/// The routes that concern our Gateways. Counts what attaches to each listener.
pub(crate) fn evaluate<'a>(
    input: &'a Input,
    plugins: &Plugins<'_>,
    gateways: &mut [GatewayState<'_>],
) -> Vec<RouteState<'a>> {
    let mut routes = Vec::new();
    for route in &input.http_routes {
        let (hostnames, mut unsupported) = hostnames(route);
        let parents = attach::evaluate(input, gateways, route, &hostnames);
        if parents.is_empty() {
            continue;
        }
        unsupported.extend(unsupported::fields(route));
        let (rules, defects) = rule::evaluate(input, plugins, route);
        unsupported.extend(defects);
        let state = RouteState {
            route,
            parents,
            rules,
            unsupported,
        };
        for (gateway, listener) in state.attachments() {
            let listener = gateways
                .get_mut(gateway)
                .and_then(|it| it.listeners.get_mut(listener));
            if let Some(listener) = listener {
                listener.attached += 1;
            }
        }
        routes.push(state);
    }
    routes
}

fn hostnames(route: &HttpRoute) -> (Vec<Hostname>, Vec<String>) {
    let (mut hostnames, mut defects) = (Vec::new(), Vec::new());
    for (index, text) in route.spec.hostnames.iter().enumerate() {
        match text.parse() {
            Ok(hostname) => hostnames.push(hostname),
            Err(error) => defects.push(format!("spec.hostnames[{index}]: {error}")),
        }
    }
    (hostnames, defects)
}

impl RouteState<'_> {
    /// The listeners it runs on, as Gateway and listener; each once.
    pub(crate) fn attachments(&self) -> Vec<(usize, usize)> {
        if !self.unsupported.is_empty() {
            return Vec::new();
        }
        let attached = self
            .parents
            .iter()
            .filter_map(|parent| Some((parent.gateway?, parent.outcome.as_ref().ok()?)));
        let mut places: Vec<_> = attached
            .flat_map(|(gateway, listeners)| listeners.iter().map(move |it| (gateway, *it)))
            .collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    pub(crate) fn status(&self, gateways: &[GatewayState<'_>]) -> ObjectStatus {
        let generation = self.route.metadata.generation();
        let parent = |parent: &ParentState| {
            let mut conditions = vec![
                self.accepted(parent, gateways, generation),
                self.resolved(generation),
            ];
            conditions.extend(self.partially_invalid(generation));
            RouteParentStatus {
                parent_ref: parent.reference.clone(),
                controller_name: controller_name(),
                conditions,
            }
        };
        let parents = Some(self.parents.iter().map(parent).collect());
        ObjectStatus::new(
            Kind::HTTPRoute,
            &self.route.metadata,
            Status {
                parents,
                ..Status::default()
            },
        )
    }

    fn accepted(&self, parent: &ParentState, gateways: &[GatewayState<'_>], generation: i64) -> Condition {
        let listeners = match &parent.outcome {
            Err((reason, message)) => return Condition::new("Accepted", false, reason, message, generation),
            Ok(listeners) => listeners,
        };
        if !self.unsupported.is_empty() {
            let message = self.unsupported.join("; ");
            return Condition::new("Accepted", false, "UnsupportedValue", message, generation);
        }
        let names = parent
            .gateway
            .and_then(|it| gateways.get(it))
            .into_iter()
            .flat_map(|gateway| {
                listeners
                    .iter()
                    .filter_map(|it| gateway.listeners.get(*it))
                    .map(|it| it.name())
            });
        let names: Vec<_> = names.collect();
        let message = format!("attached to {}", names.join(", "));
        Condition::new("Accepted", true, "Accepted", message, generation)
    }

    fn resolved(&self, generation: i64) -> Condition {
        let found: Vec<_> = self.rules.iter().flat_map(|it| &it.unresolved).collect();
        unresolved::condition(&found, generation)
    }

    fn partially_invalid(&self, generation: i64) -> Option<Condition> {
        let faults: Vec<_> = self.rules.iter().filter_map(|it| it.conflict.clone()).collect();
        let message = || format!("{}; the rule answers 500", faults.join("; "));
        let condition = || {
            Condition::new(
                "PartiallyInvalid",
                true,
                "UnsupportedValue",
                message(),
                generation,
            )
        };
        (!faults.is_empty()).then(condition)
    }
}

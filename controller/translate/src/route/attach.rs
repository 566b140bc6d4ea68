//! Which listeners a route attaches to, for each of its parentRefs.

use weir_crds::Kind;
use weir_crds::gateway_api::{HttpRoute, ParentReference};
use weir_model::Hostname;

use crate::gateway::GatewayState;
use crate::input::{Input, Scope};
use crate::listener::ListenerState;
use crate::status::Reference;

/// What became of one parentRef.
pub(crate) struct ParentState {
    /// The parentRef with its defaults.
    pub(crate) reference: Reference,
    pub(crate) gateway: Option<usize>,
    /// The listeners attached to, or reason and message.
    pub(crate) outcome: Result<Vec<usize>, (&'static str, String)>,
}

/// The parents of a route that are ours.
pub(super) fn evaluate(
    input: &Input,
    gateways: &[GatewayState<'_>],
    route: &HttpRoute,
    hostnames: &[Hostname],
) -> Vec<ParentState> {
    let parent = |parent: &ParentReference| {
        let kind = Kind::Gateway;
        let is_gateway = parent.group.as_deref().is_none_or(|it| it == kind.group())
            && parent.kind.as_deref().is_none_or(|it| it == kind.as_str());
        let namespace = parent
            .namespace
            .as_deref()
            .unwrap_or_else(|| route.metadata.namespace());
        let found = gateways
            .iter()
            .position(|it| crate::input::named(&it.gateway.metadata, namespace, &parent.name));
        let outcome = match found.filter(|_| is_gateway).and_then(|it| gateways.get(it)) {
            Some(gateway) => listeners(input, gateway, route, parent, hostnames),
            // A Gateway of another controller, or a parent that another controller may know.
            None if is_gateway && input.gateway(namespace, &parent.name).is_some() => return None,
            None if input.scope == Scope::Cluster => return None,
            None if is_gateway => Err((
                "NoMatchingParent",
                format!("there is no Gateway {namespace}/{}", parent.name),
            )),
            None => {
                let kind = parent.kind.as_deref().unwrap_or_default();
                Err((
                    "NoMatchingParent",
                    format!("a {kind} is no parent for routes here; name a Gateway"),
                ))
            }
        };
        Some(ParentState {
            reference: reference(parent),
            gateway: found.filter(|_| is_gateway),
            outcome,
        })
    };
    route.spec.parent_refs.iter().filter_map(parent).collect()
}

fn reference(parent: &ParentReference) -> Reference {
    Reference {
        group: parent
            .group
            .clone()
            .unwrap_or_else(|| Kind::Gateway.group().to_owned()),
        kind: parent
            .kind
            .clone()
            .unwrap_or_else(|| Kind::Gateway.as_str().to_owned()),
        namespace: parent.namespace.clone(),
        name: parent.name.clone(),
        section_name: parent.section_name.clone(),
        port: parent.port,
    }
}

/// Narrows a Gateway's listeners step by step; the step that leaves none gives the reason.
fn listeners(
    input: &Input,
    gateway: &GatewayState<'_>,
    route: &HttpRoute,
    parent: &ParentReference,
    hostnames: &[Hostname],
) -> Result<Vec<usize>, (&'static str, String)> {
    let named: Vec<(usize, &ListenerState<'_>)> = gateway
        .listeners
        .iter()
        .enumerate()
        .filter(|(_, it)| {
            parent
                .section_name
                .as_deref()
                .is_none_or(|name| name == it.name())
        })
        .filter(|(_, it)| parent.port.is_none_or(|port| port == it.listener.port))
        .collect();
    if named.is_empty() {
        let section = parent
            .section_name
            .as_deref()
            .map(|it| format!(" named {it:?}"))
            .unwrap_or_default();
        let port = parent.port.map(|it| format!(" on port {it}")).unwrap_or_default();
        return Err((
            "NoMatchingParent",
            format!("Gateway {} has no listener{section}{port}", gateway.key),
        ));
    }
    let namespace = route.metadata.namespace();
    let gateway_namespace = gateway.gateway.metadata.namespace();
    let allowed: Vec<_> = named
        .into_iter()
        .filter(|(_, it)| it.allows(input, gateway_namespace, namespace))
        .collect();
    if allowed.is_empty() {
        let message = format!(
            "no listener of Gateway {} lets HTTPRoutes of namespace {namespace} in",
            gateway.key
        );
        return Err(("NotAllowedByListeners", message));
    }
    let shared: Vec<_> = allowed
        .into_iter()
        .filter(|(_, it)| intersects(it, route, hostnames))
        .map(|(index, _)| index)
        .collect();
    if shared.is_empty() {
        let message = format!(
            "no listener of Gateway {} serves any of the route's hostnames",
            gateway.key
        );
        return Err(("NoMatchingListenerHostname", message));
    }
    Ok(shared)
}

fn intersects(listener: &ListenerState<'_>, route: &HttpRoute, hostnames: &[Hostname]) -> bool {
    match &listener.hostname {
        None => true,
        Some(_) if route.spec.hostnames.is_empty() => true,
        Some(own) => hostnames.iter().any(|it| own.intersect(it).is_some()),
    }
}

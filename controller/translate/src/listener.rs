//! Listeners: which are valid beside each other, and which routes they let in.

use weir_crds::gateway_api::{FromNamespaces, GROUP, Gateway, Listener};
use weir_model::Hostname;

use crate::input::Input;
use crate::status::{Condition, ListenerStatus, SupportedKind};

/// A listener with what was found out about it.
pub(crate) struct ListenerState<'a> {
    pub(crate) listener: &'a Listener,
    pub(crate) hostname: Option<Hostname>,
    /// Why it is not accepted: reason and message.
    refusal: Option<(&'static str, String)>,
    /// Why it cannot be told from another: reason and message.
    conflict: Option<(&'static str, String)>,
    /// Kinds that it was asked for and does not serve.
    invalid_kinds: Vec<String>,
    serves_http_routes: bool,
    /// Routes attached, whether or not it runs.
    pub(crate) attached: usize,
}

/// Judges the listeners of a Gateway.
pub(crate) fn evaluate(gateway: &Gateway) -> Vec<ListenerState<'_>> {
    let listeners = &gateway.spec.listeners;
    let states = listeners.iter().enumerate().map(|(index, listener)| {
        let others = listeners
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .map(|(_, it)| it);
        evaluate_one(index, listener, others)
    });
    states.collect()
}

fn evaluate_one<'a>(
    index: usize,
    listener: &'a Listener,
    others: impl Iterator<Item = &'a Listener>,
) -> ListenerState<'a> {
    let hostname = listener.hostname.as_deref().map(str::parse::<Hostname>);
    let at = format!("spec.listeners[{index}]");
    let refusal = match (listener.protocol.as_str(), &hostname, &listener.tls) {
        ("HTTP", Some(Err(error)), _) => Some(("Invalid", format!("{at}.hostname: {error}"))),
        ("HTTP", _, Some(_)) => Some((
            "Invalid",
            format!("{at}.tls: must not be set for protocol HTTP; remove it"),
        )),
        ("HTTP", ..) => None,
        (protocol, ..) => {
            let message =
                format!("{at}.protocol: {protocol:?} is not supported by this version of Weir; write HTTP");
            Some(("UnsupportedProtocol", message))
        }
    };
    let allowed = &listener.allowed_routes.kinds;
    let is_route = |group: &Option<String>, kind: &str| {
        group.as_deref().unwrap_or(GROUP) == GROUP && kind == "HTTPRoute"
    };
    let takes_http_routes = matches!(listener.protocol.as_str(), "HTTP" | "HTTPS");
    let valid = |group: &Option<String>, kind: &str| takes_http_routes && is_route(group, kind);
    ListenerState {
        listener,
        hostname: hostname.and_then(Result::ok),
        refusal,
        conflict: conflict(listener, others),
        invalid_kinds: allowed
            .iter()
            .filter(|it| !valid(&it.group, &it.kind))
            .map(|it| it.kind.clone())
            .collect(),
        serves_http_routes: takes_http_routes
            && (allowed.is_empty() || allowed.iter().any(|it| valid(&it.group, &it.kind))),
        attached: 0,
    }
}

/// Listeners of one port share its protocol and differ in their hostname. No side of a conflict wins.
fn conflict<'a>(
    listener: &Listener,
    others: impl Iterator<Item = &'a Listener>,
) -> Option<(&'static str, String)> {
    let hostname = |it: &Listener| it.hostname.as_deref().unwrap_or_default().to_ascii_lowercase();
    let mut same_port =
        others.filter(|other| other.port == listener.port && transport(other) == transport(listener));
    same_port.find_map(|other| {
        let compatible = |protocol: &str| matches!(protocol, "HTTPS" | "TLS");
        let (a, b) = (listener.protocol.as_str(), other.protocol.as_str());
        if a != b && !(compatible(a) && compatible(b)) {
            let message = format!("listener {:?} speaks {b} on port {} too", other.name, other.port);
            return Some(("ProtocolConflict", message));
        }
        let is_same = hostname(listener) == hostname(other);
        let message = || {
            format!(
                "listener {:?} has the same port and hostname; change one of them",
                other.name
            )
        };
        is_same.then(|| ("HostnameConflict", message()))
    })
}

fn transport(listener: &Listener) -> &'static str {
    match listener.protocol.as_str() {
        "UDP" => "UDP",
        _ => "TCP",
    }
}

impl ListenerState<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.listener.name
    }

    /// Whether it can run.
    pub(crate) fn is_usable(&self) -> bool {
        self.refusal.is_none() && self.conflict.is_none()
    }

    /// Whether routes of our kind and of that namespace may attach.
    pub(crate) fn allows(&self, input: &Input, gateway_namespace: &str, namespace: &str) -> bool {
        let from = &self.listener.allowed_routes.namespaces;
        self.serves_http_routes
            && match from.from {
                FromNamespaces::All => true,
                FromNamespaces::Same => gateway_namespace == namespace,
                FromNamespaces::None => false,
                FromNamespaces::Selector => from
                    .selector
                    .as_ref()
                    .is_some_and(|it| it.matches(&input.namespace_labels(namespace))),
            }
    }

    pub(crate) fn status(&self, generation: i64, gateway_programmed: bool) -> ListenerStatus {
        let condition = |type_: &str, holds, reason: &str, message: &str| {
            Condition::new(type_, holds, reason, message, generation)
        };
        let accepted = match (&self.refusal, &self.conflict) {
            (Some((reason, message)), _) | (None, Some((reason, message))) => {
                condition("Accepted", false, reason, message)
            }
            (None, None) => condition("Accepted", true, "Accepted", "the listener is valid"),
        };
        let programmed = match gateway_programmed && self.is_usable() {
            true => condition("Programmed", true, "Programmed", "translated"),
            false => condition(
                "Programmed",
                false,
                "Invalid",
                "the listener or its Gateway is not valid",
            ),
        };
        let resolved = match self.invalid_kinds.is_empty() {
            true => condition("ResolvedRefs", true, "ResolvedRefs", "all references resolve"),
            false => {
                let message = format!(
                    "allowedRoutes.kinds: not served here: {}",
                    self.invalid_kinds.join(", ")
                );
                condition("ResolvedRefs", false, "InvalidRouteKinds", &message)
            }
        };
        let conflicted = match &self.conflict {
            None => condition(
                "Conflicted",
                false,
                "NoConflicts",
                "distinct from all other listeners",
            ),
            Some((reason, message)) => condition("Conflicted", true, reason, message),
        };
        let route = SupportedKind {
            group: GROUP.to_owned(),
            kind: "HTTPRoute".to_owned(),
        };
        ListenerStatus {
            name: self.listener.name.clone(),
            supported_kinds: Vec::from_iter(self.serves_http_routes.then_some(route)),
            attached_routes: self.attached,
            conditions: vec![accepted, programmed, resolved, conflicted],
        }
    }
}

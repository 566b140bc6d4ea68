//! Gateways: which can be programmed, and what is said about those that cannot.

use std::collections::BTreeSet;

use weir_crds::Kind;
use weir_crds::gateway_api::{FromNamespaces, Gateway};

use crate::class::ClassState;
use crate::input::{Input, Scope};
use crate::limit::Defect;
use crate::listener::{self, ListenerState};
use crate::status::{Condition, ObjectStatus, Status};

/// A Gateway of ours.
pub(crate) struct GatewayState<'a> {
    pub(crate) gateway: &'a Gateway,
    /// `namespace/name`.
    pub(crate) key: String,
    /// Where its listeners bind.
    pub(crate) address: String,
    pub(crate) listeners: Vec<ListenerState<'a>>,
    /// Why nothing of it is programmed: reason and message.
    refusal: Option<(&'static str, String)>,
}

/// The annotation of a Gateway that turns the header with details on.
const DETAIL_HEADER: &str = "weir.dev/detail-header";

/// Every address of this machine.
const ANY_ADDRESS: &str = "0.0.0.0";

/// The Gateways of our classes. Where the input is all there is, a Gateway without a class is ours to report.
pub(crate) fn evaluate<'a>(input: &'a Input, classes: &[ClassState<'_>]) -> Vec<GatewayState<'a>> {
    let ours = input.gateways.iter().filter_map(|gateway| {
        let name = &gateway.spec.gateway_class_name;
        let refusal = match classes.iter().find(|class| class.name() == name) {
            Some(class) => refusal(gateway, class),
            None if input.scope == Scope::Cluster => return None,
            None if input.gateway_classes.iter().any(|it| it.metadata.name == *name) => return None,
            None => Some((
                "Invalid",
                format!("spec.gatewayClassName: there is no GatewayClass {name}"),
            )),
        };
        Some(GatewayState {
            gateway,
            key: gateway.metadata.path(),
            address: gateway
                .spec
                .addresses
                .iter()
                .find_map(|it| it.value.clone())
                .unwrap_or_else(|| ANY_ADDRESS.into()),
            listeners: listener::evaluate(gateway),
            refusal,
        })
    });
    ours.collect()
}

impl GatewayState<'_> {
    /// Whether responses of our own say why in a header.
    pub(crate) fn detail_header(&self) -> bool {
        detail_header(self.gateway) == Ok(true)
    }

    /// Whether there is anything to run.
    pub(crate) fn is_programmed(&self) -> bool {
        self.refusal.is_none() && self.listeners.iter().any(|it| it.is_usable())
    }

    pub(crate) fn status(&self) -> ObjectStatus {
        let generation = self.gateway.metadata.generation();
        let conditions = vec![self.accepted(generation), self.programmed(generation)];
        let programmed = self.is_programmed();
        let listeners = self
            .listeners
            .iter()
            .map(|it| it.status(generation, programmed))
            .collect();
        let status = Status {
            conditions,
            listeners: Some(listeners),
            ..Status::default()
        };
        ObjectStatus::new(Kind::Gateway, &self.gateway.metadata, status)
    }

    fn accepted(&self, generation: i64) -> Condition {
        if let Some((reason, message)) = &self.refusal {
            return Condition::new("Accepted", false, reason, message, generation);
        }
        let bad: Vec<_> = self
            .listeners
            .iter()
            .filter(|it| !it.is_usable())
            .map(|it| it.name())
            .collect();
        let any_usable = self.listeners.iter().any(|it| it.is_usable());
        // A notice: what is left out takes nothing from the Gateway.
        let notice = detail_header(self.gateway).err();
        let notice = notice
            .map(|(field, why)| format!("; {field}: {why}"))
            .unwrap_or_default();
        match bad.is_empty() {
            true => {
                let message = format!("all listeners are valid{notice}");
                Condition::new("Accepted", true, "Accepted", message, generation)
            }
            false => {
                let message = format!("listeners that are not valid: {}{notice}", bad.join(", "));
                Condition::new("Accepted", any_usable, "ListenersNotValid", message, generation)
            }
        }
    }

    fn programmed(&self, generation: i64) -> Condition {
        match self.is_programmed() {
            true => Condition::new("Programmed", true, "Programmed", "translated", generation),
            false => Condition::new(
                "Programmed",
                false,
                "Invalid",
                "no listener can be programmed",
                generation,
            ),
        }
    }
}

/// What the annotation of a Gateway says about the header with details, or that it is not understood.
pub(crate) fn detail_header(gateway: &Gateway) -> Result<bool, Defect> {
    let annotations = &gateway.metadata.annotations;
    match annotations.get(DETAIL_HEADER).map(String::as_str) {
        Some("true") => Ok(true),
        None | Some("false") => Ok(false),
        Some(other) => {
            let field = format!("metadata.annotations[{DETAIL_HEADER}]");
            let message = format!("{other:?} counts as \"false\"; write \"true\" or \"false\"");
            Err((field, message))
        }
    }
}

fn refusal(gateway: &Gateway, class: &ClassState<'_>) -> Option<(&'static str, String)> {
    if !class.is_accepted() {
        return Some((
            "Pending",
            format!("GatewayClass {} is not accepted", class.name()),
        ));
    }
    let spec = &gateway.spec;
    let mut names = BTreeSet::new();
    for (index, listener) in spec.listeners.iter().enumerate() {
        if !names.insert(&listener.name) {
            let message = format!(
                "spec.listeners[{index}].name: {:?} stands twice; names are unique",
                listener.name
            );
            return Some(("Invalid", message));
        }
    }
    if spec.tls.is_some() {
        return Some((
            "Invalid",
            "spec.tls: not supported by this version of Weir; remove it".to_owned(),
        ));
    }
    let listener_sets = spec
        .allowed_listeners
        .as_ref()
        .and_then(|it| it.namespaces.as_ref());
    if listener_sets.is_some_and(|it| it.from != FromNamespaces::None) {
        let message =
            "spec.allowedListeners: ListenerSets are not supported by this version of Weir; remove it";
        return Some(("Invalid", message.to_owned()));
    }
    if spec
        .infrastructure
        .as_ref()
        .is_some_and(|it| it.parameters_ref.is_some())
    {
        let message = "spec.infrastructure.parametersRef: not supported by this version of Weir; remove it";
        return Some(("InvalidParameters", message.to_owned()));
    }
    unsupported_address(gateway).map(|message| ("UnsupportedAddress", message))
}

fn unsupported_address(gateway: &Gateway) -> Option<String> {
    let addresses = &gateway.spec.addresses;
    if addresses.len() > 1 {
        return Some("spec.addresses: this version of Weir binds one address; remove the others".to_owned());
    }
    addresses.iter().find_map(|address| {
        let type_ = address.type_.as_deref().unwrap_or("IPAddress");
        if type_ != "IPAddress" {
            return Some(format!(
                "spec.addresses[0].type: {type_:?} is not supported; write IPAddress"
            ));
        }
        let value = address.value.as_deref()?;
        let is_bad = value.parse::<std::net::IpAddr>().is_err();
        is_bad.then(|| format!("spec.addresses[0].value: {value:?} is not an IP address"))
    })
}

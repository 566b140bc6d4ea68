//! Pure translation: cluster objects → one `Document` per Gateway, and the status of every object.
//!
//! No I/O, no clock, no environment. `translate` is total: a bad object becomes a condition and never
//! keeps others from working, and the result does not depend on the order of the input.

mod backend;
mod chain;
mod class;
mod document;
mod gateway;
mod grant;
mod input;
mod limit;
mod listener;
mod parse;
mod plugin;
mod policy;
mod route;
mod secret;
mod status;
mod unresolved;

use weir_config::Document;

pub use chain::{ChainView, GatewayChains, Overridden, Step};
pub use input::{Input, Scope};
pub use parse::{Diagnostic, Parsed, Severity, SourceFile, parse};
pub use status::{
    AncestorStatus, Condition, ListenerStatus, ObjectStatus, Reference, RouteParentStatus, Status,
};
pub use status::{StatusMetadata, SupportedKind};

/// Gateways of classes that name this controller are ours.
pub const CONTROLLER_NAME: &str = "weir.dev/gateway-controller";

/// The result of a translation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// One per Gateway of ours that can be programmed, by name.
    pub documents: Vec<Document>,
    /// One per object that has a status: kind by kind, each by age and name.
    pub statuses: Vec<ObjectStatus>,
    /// The computed chains of each document, for people.
    pub chains: Vec<GatewayChains>,
}

/// Translates all objects.
pub fn translate(input: &Input) -> Output {
    let classes = class::evaluate(input);
    let mut gateways = gateway::evaluate(input, &classes);
    let plugins = plugin::Plugins::evaluate(input);
    let routes = route::evaluate(input, &plugins, &mut gateways);
    let mut policies = policy::Policies::resolve(input, &plugins);
    let mut output = Output::default();
    for (index, gateway) in gateways.iter().enumerate() {
        let (document, chains) = document::assemble(index, gateway, &routes, &mut policies);
        if gateway.is_programmed() {
            output.documents.push(document);
            output.chains.push(chains);
        }
    }
    output
        .statuses
        .extend(classes.into_iter().map(class::ClassState::into_status));
    output
        .statuses
        .extend(gateways.iter().map(gateway::GatewayState::status));
    output
        .statuses
        .extend(routes.iter().map(|it| it.status(&gateways)));
    output.statuses.extend(backend::statuses(input));
    output.statuses.extend(policies.into_statuses());
    output
}

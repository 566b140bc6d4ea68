//! The places that policies govern, and how closely a policy is attached to one.

use weir_crds::gateway_api::HttpRoute;

use crate::gateway::GatewayState;
use crate::listener::ListenerState;
use crate::route::{Extension, RuleState};

/// A listener of a Gateway, or a rule of a route on it.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) gateway: &'a GatewayState<'a>,
    pub(crate) listener: &'a ListenerState<'a>,
    pub(crate) rule: Option<(&'a HttpRoute, &'a RuleState<'a>)>,
}

/// How closely a policy is attached; the closest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Named by a filter of the rule.
    Extension,
    /// Attached to the rule.
    Rule,
    /// Attached to the route.
    Route,
    /// Attached to the listener.
    Listener,
    /// Attached to the Gateway.
    Gateway,
}

impl Level {
    /// In words.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Extension => "named by the rule",
            Self::Rule => "attached to the rule",
            Self::Route => "attached to the route",
            Self::Listener => "attached to the listener",
            Self::Gateway => "attached to the Gateway",
        }
    }

    /// Whether it stands on the route's side rather than the Gateway's.
    pub(crate) fn is_of_route(self) -> bool {
        self <= Self::Route
    }
}

impl<'a> Site<'a> {
    /// The objects that filters of the rule name.
    pub(crate) fn extensions(&self) -> &'a [Extension<'a>] {
        self.rule
            .map(|(_, rule)| rule.extensions.as_slice())
            .unwrap_or_default()
    }
}

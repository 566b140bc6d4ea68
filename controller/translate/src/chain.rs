//! Chains: the order of filters, and what is shown of it to people.

use serde::Serialize;
use weir_config::document::{FailureMode, Filter};
use weir_crds::weir::Predicate;
use weir_model::Stage;

/// A filter with its place in a chain.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link {
    pub(crate) filter: Filter,
    pub(crate) predicate: Predicate,
    /// Higher runs earlier.
    pub(crate) weight: i64,
}

impl Link {
    pub(crate) fn stage(&self) -> Stage {
        self.filter.stage.parse().unwrap_or_default()
    }

    fn step(&self, index: usize) -> Step {
        Step {
            order: index + 1,
            filter: self.filter.name.clone(),
            plugin: self.filter.plugin.clone(),
            stage: self.filter.stage.clone(),
            predicate: format!("{:?}", self.predicate).to_lowercase(),
            weight: self.weight,
            failure_mode: self.filter.failure_mode,
            origin: self.filter.origin.clone(),
        }
    }
}

/// Sorts by stage, predicate, weight and name, and keeps one of each name.
pub(crate) fn order(links: &mut Vec<Link>) {
    links.sort_by(|a, b| {
        let key = |it: &Link| (it.stage(), it.predicate, std::cmp::Reverse(it.weight));
        key(a)
            .cmp(&key(b))
            .then_with(|| a.filter.name.cmp(&b.filter.name))
    });
    links.dedup_by(|a, b| a.filter.name == b.filter.name);
}

/// The chains of one Gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayChains {
    /// The Gateway, as `namespace/name`.
    pub gateway: String,
    /// The chain of each listener.
    pub listeners: Vec<ChainView>,
    /// The chain of each rule; it runs after that of the listener.
    pub routes: Vec<ChainView>,
}

/// The chain of one listener or rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainView {
    /// The listener's or route's name in the document.
    pub name: String,
    /// The listeners that a rule runs on; empty for a listener.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<String>,
    /// The filters, in the order in which requests pass them.
    pub steps: Vec<Step>,
    /// Policies that gave way here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<Overridden>,
    /// Why every request is answered with 500 here, when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// One filter of a chain.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// From 1.
    pub order: usize,
    /// The filter's name.
    pub filter: String,
    /// The plugin it runs.
    pub plugin: String,
    /// The part of the chain.
    pub stage: String,
    /// The place in the stage.
    pub predicate: String,
    /// The order among equals.
    pub weight: i64,
    /// What its failure does.
    pub failure_mode: FailureMode,
    /// The objects that asked for it.
    pub origin: Vec<String>,
}

/// A policy that gave way to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overridden {
    /// The policy that lost.
    pub loser: String,
    /// The policy that won.
    pub winner: String,
    /// The field they both set.
    pub field: String,
    /// Why the winner won.
    pub why: String,
}

impl ChainView {
    pub(crate) fn new(
        name: String,
        links: &[Link],
        overridden: Vec<Overridden>,
        fault: Option<String>,
    ) -> Self {
        let steps = links
            .iter()
            .enumerate()
            .map(|(index, it)| it.step(index))
            .collect();
        Self {
            name,
            listeners: Vec::new(),
            steps,
            overridden,
            fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str, stage: Stage, predicate: Predicate, weight: i64) -> Link {
        let filter = Filter {
            name: name.to_owned(),
            plugin: "p".to_owned(),
            config: serde_json::Value::Null,
            stage: stage.to_string(),
            failure_mode: FailureMode::Closed,
            capabilities: None,
            limits: Default::default(),
            isolation: None,
            backends: None,
            origin: Vec::new(),
        };
        Link {
            filter,
            predicate,
            weight,
        }
    }

    #[test]
    fn links_go_by_stage_then_predicate_then_weight_then_name() {
        let mut links = vec![
            link("last", Stage::Route, Predicate::Before, 9),
            link("b", Stage::Accepted, Predicate::During, 0),
            link("a", Stage::Accepted, Predicate::During, 0),
            link("heavy", Stage::Accepted, Predicate::During, 5),
            link("before", Stage::Accepted, Predicate::Before, -1),
            link("first", Stage::Fault, Predicate::After, 0),
        ];
        order(&mut links);
        let names: Vec<_> = links.iter().map(|it| it.filter.name.as_str()).collect();
        assert_eq!(names, ["first", "before", "heavy", "a", "b", "last"]);
    }
}

//! kgateway's TrafficPolicy: of all policies that govern a rule, which transformation it gets.

mod merge;
mod template;

pub(crate) use merge::{MERGE_ANNOTATIONS, MERGE_STRATEGIES};

use std::cmp::Reverse;

use weir_config::document::{FailureMode, Filter, Limits};
use weir_crds::Kind;
use weir_crds::kgateway::{TrafficPolicy, Transformation};
use weir_crds::weir::Predicate;
use weir_model::Stage;

use super::Governed;
use super::report::Report;
use super::site::{Level, Site};
use super::target::Targets;
use crate::chain::{Link, Overridden};
use crate::route::Extension;

use merge::Strategy;

/// A policy with its targets.
pub(super) struct State<'a> {
    policy: &'a TrafficPolicy,
    targets: Targets,
    /// A field that guards the targets and that this version cannot honour.
    guard: Option<&'static str>,
    pub(super) report: Report<'a>,
}

/// Fields that keep requests out: without them, what they guard must not be served.
const GUARDS: [&str; 10] = [
    "acl",
    "apiKeyAuth",
    "apiKeyAuthentication",
    "basicAuth",
    "csrf",
    "extAuth",
    "jwt",
    "jwtAuth",
    "oauth2",
    "rbac",
];

impl<'a> State<'a> {
    pub(super) fn new(input: &crate::Input, policy: &'a TrafficPolicy) -> Self {
        let spec = &policy.spec;
        let kinds = [Kind::Gateway, Kind::HTTPRoute];
        let targets = Targets::resolve(
            input,
            &policy.metadata,
            &kinds,
            &spec.target_refs,
            &spec.target_selectors,
        );
        let is_guard = |field: &&str| GUARDS.contains(field);
        let guard = spec.other_fields().find(is_guard);
        let defect = |field: &str| {
            let effect = if is_guard(&field) {
                "; what the policy governs answers 500"
            } else {
                ""
            };
            format!("spec.{field}: not supported by this version of Weir{effect}")
        };
        let defects = spec.other_fields().map(defect).collect();
        let does_something = spec.transformation.is_some() && guard.is_none();
        let report = Report::new(
            Kind::TrafficPolicy,
            &policy.metadata,
            &targets,
            defects,
            does_something,
        );
        Self {
            policy,
            targets,
            guard,
            report,
        }
    }

    /// How closely it is attached to a place; a rule's filter may name it too.
    fn level(&self, site: &Site<'_>) -> Option<Level> {
        let is_it = |it: &&Extension<'_>| matches!(it, Extension::TrafficPolicy(it) if std::ptr::eq(*it, self.policy));
        match site.extensions().iter().any(|it| is_it(&it)) {
            true => Some(Level::Extension),
            false => self.targets.level(site),
        }
    }

    /// kgateway's order among policies of one level; the input comes sorted by age and name.
    fn weight(&self) -> i64 {
        let text = self.policy.metadata.annotations.get("kgateway.dev/policy-weight");
        text.and_then(|it| it.parse().ok()).unwrap_or_default()
    }
}

/// Gives a rule its transformation, or the reason why it must answer 500.
pub(super) fn govern(policies: &mut [State<'_>], site: &Site<'_>, governed: &mut Governed) {
    let strategy = Strategy::of(&site.gateway.gateway.metadata);
    let mut contenders: Vec<_> = policies
        .iter_mut()
        .filter_map(|it| Some((it.level(site)?, it)))
        .collect();
    // The sort is stable, so age and name break ties.
    contenders.sort_by_key(|(level, it)| (strategy.rank(*level), Reverse(it.weight())));
    for (_, state) in &mut contenders {
        state.report.reaches(site);
        if let Some(guard) = state.guard {
            let object = state.report.object();
            governed.fault = Some(format!(
                "{object} sets spec.{guard}, which this version of Weir does not support"
            ));
        }
    }
    if governed.fault.is_some() {
        return;
    }
    contenders.retain(|(_, it)| it.policy.spec.transformation.is_some());
    let Some((merged, winners)) = merge(strategy, &mut contenders, site, governed) else {
        return;
    };
    let is_merged = winners.len() > 1;
    for (_, state) in &mut contenders {
        match (
            winners.iter().any(|it| it.object == state.report.object()),
            is_merged,
        ) {
            (true, false) => state.report.applied(site),
            (true, true) => state.report.merged(site),
            (false, _) => {}
        }
    }
    governed
        .links
        .push(link(&merged, winners.into_iter().map(|it| it.object).collect()));
}

/// A policy whose transformation is in effect at a place.
struct Winner {
    level: Level,
    weight: i64,
    object: String,
}

/// The transformation of the first contender, with what the strategy lets the others add to it.
fn merge(
    strategy: Strategy,
    contenders: &mut [(Level, &mut State<'_>)],
    site: &Site<'_>,
    governed: &mut Governed,
) -> Option<(Transformation, Vec<Winner>)> {
    let mut merged: Option<(Transformation, Vec<Winner>)> = None;
    for (level, state) in contenders {
        let Some(transformation) = &state.policy.spec.transformation else {
            continue;
        };
        let own = Winner {
            level: *level,
            weight: state.weight(),
            object: state.report.object(),
        };
        let Some((merged, winners)) = &mut merged else {
            merged = Some((transformation.clone(), vec![own]));
            continue;
        };
        // Within one level merging is always shallow.
        if strategy.is_deep() && winners.iter().all(|it| it.level != own.level) {
            merge::deep(merged, transformation);
            winners.push(own);
        } else if let Some(winner) = winners.first() {
            state.report.lost(site, &winner.object);
            governed.overridden.push(Overridden {
                why: why(winner, &own),
                loser: own.object,
                winner: winner.object.clone(),
                field: "transformation".to_owned(),
            });
        }
    }
    merged
}

fn why(winner: &Winner, loser: &Winner) -> String {
    if winner.level != loser.level {
        return format!(
            "the winner is {}, the loser {}",
            winner.level.as_str(),
            loser.level.as_str()
        );
    }
    match winner.weight == loser.weight {
        true => "the winner is older, or first by name".to_owned(),
        false => format!(
            "the winner's weight is {}, the loser's {}",
            winner.weight, loser.weight
        ),
    }
}

fn link(transformation: &Transformation, origin: Vec<String>) -> Link {
    let names: Vec<_> = origin.iter().map(|it| it.replace(' ', "/")).collect();
    let filter = Filter {
        name: names.join("+"),
        plugin: "builtin/transformation".to_owned(),
        config: serde_json::to_value(transformation).unwrap_or_default(),
        stage: Stage::Accepted.to_string(),
        failure_mode: FailureMode::Closed,
        capabilities: Some(template::capabilities(transformation)),
        limits: Limits::default(),
        isolation: None,
        backends: None,
        origin,
    };
    Link {
        filter,
        predicate: Predicate::Before,
        weight: 0,
    }
}

//! What is said about a policy: whether it is valid, and at each Gateway whether it had its way.

use std::collections::{BTreeMap, BTreeSet};

use weir_crds::{Kind, ObjectMeta};

use super::site::Site;
use super::target::Targets;
use crate::status::{AncestorStatus, Condition, ObjectStatus, Reference, Status, controller_name};
use crate::unresolved::{self, Unresolved};

/// The findings about one policy.
pub(super) struct Report<'a> {
    kind: Kind,
    metadata: &'a ObjectMeta,
    /// What of it is not in effect, and why.
    pub(super) defects: Vec<String>,
    /// How much of it is.
    pub(super) effect: Effect,
    missing: Vec<String>,
    /// Which of its references lead nowhere; absent when it has none.
    unresolved: Option<Vec<Unresolved>>,
    reached: BTreeMap<Reference, Reach>,
}

/// How much of a policy is in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Whole,
    Part,
    Nothing,
}

/// How a policy fared at the places of one Gateway.
#[derive(Default)]
struct Reach {
    applied: usize,
    merged: usize,
    lost_to: BTreeSet<String>,
}

impl<'a> Report<'a> {
    /// Begins with what the policy itself says. `does_something`: whether any part of it is understood.
    pub(super) fn new(
        kind: Kind,
        metadata: &'a ObjectMeta,
        targets: &Targets,
        mut defects: Vec<String>,
        does_something: bool,
    ) -> Self {
        defects.extend(targets.refused.iter().cloned());
        let effect = match (defects.is_empty(), does_something) {
            (true, _) => Effect::Whole,
            (false, true) => Effect::Part,
            (false, false) => Effect::Nothing,
        };
        let missing = targets.missing.clone();
        Self {
            kind,
            metadata,
            defects,
            effect,
            missing,
            unresolved: None,
            reached: BTreeMap::new(),
        }
    }

    /// The policy names other objects; these of them lead nowhere.
    pub(super) fn references(&mut self, unresolved: Vec<Unresolved>) {
        self.unresolved = Some(unresolved);
    }

    /// `Kind namespace/name`.
    pub(super) fn object(&self) -> String {
        format!("{} {}", self.kind, self.metadata.path())
    }

    /// The policy has a say at this place.
    pub(super) fn reaches(&mut self, site: &Site<'_>) {
        self.reach(site);
    }

    pub(super) fn applied(&mut self, site: &Site<'_>) {
        self.reach(site).applied += 1;
    }

    pub(super) fn merged(&mut self, site: &Site<'_>) {
        self.reach(site).merged += 1;
    }

    pub(super) fn lost(&mut self, site: &Site<'_>, winner: &str) {
        self.reach(site).lost_to.insert(winner.to_owned());
    }

    fn reach(&mut self, site: &Site<'_>) -> &mut Reach {
        let gateway = Reference::object(Kind::Gateway, &site.gateway.gateway.metadata);
        self.reached.entry(gateway).or_default()
    }

    pub(super) fn into_status(self) -> ObjectStatus {
        let generation = self.metadata.generation();
        let accepted = self.accepted(generation);
        let mut ancestors = Vec::new();
        for (gateway, reach) in &self.reached {
            let conditions = vec![accepted.clone(), self.attached(reach, generation)];
            ancestors.push((gateway.clone(), conditions));
        }
        let own = Reference::object(self.kind, self.metadata);
        if !self.missing.is_empty() {
            let condition = |type_: &str| {
                Condition::new(
                    type_,
                    false,
                    "TargetNotFound",
                    self.missing.join("; "),
                    generation,
                )
            };
            ancestors.push((own, vec![condition("Accepted"), condition("Attached")]));
        } else if ancestors.is_empty() {
            let message = "no target is served by a Gateway of Weir";
            let pending = Condition::new("Attached", false, "Pending", message, generation);
            ancestors.push((own, vec![accepted, pending]));
        }
        let resolved = self.unresolved.map(|found| {
            let found: Vec<_> = found.iter().collect();
            unresolved::condition(&found, generation)
        });
        let ancestor = |(ancestor_ref, mut conditions): (Reference, Vec<Condition>)| {
            conditions.extend(resolved.clone());
            AncestorStatus {
                ancestor_ref,
                controller_name: controller_name(),
                conditions,
            }
        };
        let ancestors = Some(ancestors.into_iter().map(ancestor).collect());
        ObjectStatus::new(
            self.kind,
            self.metadata,
            Status {
                ancestors,
                ..Status::default()
            },
        )
    }

    fn accepted(&self, generation: i64) -> Condition {
        let message = self.defects.join("; ");
        match self.effect {
            Effect::Whole => Condition::new("Accepted", true, "Valid", "the policy is valid", generation),
            Effect::Part => Condition::new("Accepted", false, "PartiallyValid", message, generation),
            Effect::Nothing => Condition::new("Accepted", false, "Invalid", message, generation),
        }
    }

    fn attached(&self, reach: &Reach, generation: i64) -> Condition {
        let winners = Vec::from_iter(reach.lost_to.iter().map(String::as_str)).join(", ");
        let condition = |holds, reason: &str, message: String| {
            Condition::new("Attached", holds, reason, message, generation)
        };
        match (reach.applied + reach.merged, reach.lost_to.is_empty()) {
            (0, true) => condition(
                false,
                "Pending",
                "nothing of the policy is in effect here".to_owned(),
            ),
            (0, false) => condition(false, "Overridden", format!("gives way everywhere to {winners}")),
            (_, true) if reach.merged == 0 => condition(true, "Attached", "in effect".to_owned()),
            (_, true) => condition(true, "Merged", "in effect, merged with other policies".to_owned()),
            (_, false) => condition(
                true,
                "Merged",
                format!("in effect; gives way in places to {winners}"),
            ),
        }
    }
}

/// The status of an object that is only named by others.
pub(super) fn object_status(kind: Kind, metadata: &ObjectMeta, defects: &[String]) -> ObjectStatus {
    let generation = metadata.generation();
    let condition = match defects.is_empty() {
        true => Condition::new("Accepted", true, "Accepted", "the object is valid", generation),
        false => Condition::new("Accepted", false, "Invalid", defects.join("; "), generation),
    };
    ObjectStatus::new(
        kind,
        metadata,
        Status {
            conditions: vec![condition],
            ..Status::default()
        },
    )
}

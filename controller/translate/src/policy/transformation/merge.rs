//! kgateway's merge strategies: who is preferred between a Gateway's policies and a route's, and whether
//! the other side adds to the preferred one.

use weir_crds::ObjectMeta;
use weir_crds::kgateway::{Transform, Transformation};

use crate::policy::site::Level;

/// A merge strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    ShallowPreferChild,
    ShallowPreferParent,
    DeepPreferChild,
    DeepPreferParent,
}

/// The annotation of a Gateway that chooses the strategy, and its name before kgateway 2.1.
pub(crate) const MERGE_ANNOTATIONS: [&str; 2] = [
    "kgateway.dev/inherited-policy-priority",
    "delegation.kgateway.dev/inherited-policy-priority",
];

/// The values of that annotation; the last two are those of the old name.
pub(crate) const MERGE_STRATEGIES: [&str; 6] = [
    "ShallowMergePreferChild",
    "ShallowMergePreferParent",
    "DeepMergePreferChild",
    "DeepMergePreferParent",
    "PreferChild",
    "PreferParent",
];

impl Strategy {
    /// The strategy that a Gateway asks for.
    pub(super) fn of(gateway: &ObjectMeta) -> Self {
        let text = MERGE_ANNOTATIONS
            .iter()
            .find_map(|it| gateway.annotations.get(*it));
        match text.map(String::as_str) {
            Some("ShallowMergePreferParent" | "PreferParent") => Self::ShallowPreferParent,
            Some("DeepMergePreferChild") => Self::DeepPreferChild,
            Some("DeepMergePreferParent") => Self::DeepPreferParent,
            _ => Self::ShallowPreferChild,
        }
    }

    pub(super) const fn is_deep(self) -> bool {
        matches!(self, Self::DeepPreferChild | Self::DeepPreferParent)
    }

    /// The order of levels, the preferred first.
    pub(super) fn rank(self, level: Level) -> (bool, Level) {
        let prefers_parent = matches!(self, Self::ShallowPreferParent | Self::DeepPreferParent);
        (level.is_of_route() == prefers_parent, level)
    }
}

/// Adds the lists of `other` behind those of the preferred side. Bodies and metadata are not merged.
pub(super) fn deep(preferred: &mut Transformation, other: &Transformation) {
    for (mine, theirs) in [
        (&mut preferred.request, &other.request),
        (&mut preferred.response, &other.response),
    ] {
        match (mine, theirs) {
            (Some(mine), Some(theirs)) => {
                mine.set.extend(theirs.set.iter().cloned());
                mine.add.extend(theirs.add.iter().cloned());
                mine.remove.extend(theirs.remove.iter().cloned());
            }
            (mine @ None, Some(theirs)) => *mine = Some(Transform::clone(theirs)),
            _ => {}
        }
    }
}

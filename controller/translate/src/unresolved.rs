//! References that lead nowhere, and the condition that says so.

use crate::status::Condition;

/// Why a reference does not resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unresolved {
    /// Gateway API's reason where it has one.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Unresolved {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// Says which field holds the reference, and what follows when anything does.
    pub(crate) fn at(self, field: &str, consequence: &str) -> Self {
        Self::new(self.reason, format!("{field}: {}{consequence}", self.message))
    }
}

/// `ResolvedRefs` of an object that has references.
pub(crate) fn condition(unresolved: &[&Unresolved], generation: i64) -> Condition {
    match unresolved {
        [] => Condition::new(
            "ResolvedRefs",
            true,
            "ResolvedRefs",
            "all references resolve",
            generation,
        ),
        [first, ..] => {
            let messages: Vec<_> = unresolved.iter().map(|it| it.message.as_str()).collect();
            Condition::new(
                "ResolvedRefs",
                false,
                first.reason,
                messages.join("; "),
                generation,
            )
        }
    }
}

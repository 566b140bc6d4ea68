//! Label selectors, as in `metav1.LabelSelector`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Selects objects by label; all parts must hold. Without parts it selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels with exactly these values.
    #[serde(default)]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(default)]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

impl LabelSelector {
    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self
                .match_expressions
                .iter()
                .all(|it| it.matches(labels.get(&it.key)))
    }
}

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LabelSelectorRequirement {
    /// The label.
    pub key: String,
    /// How it is compared.
    pub operator: LabelSelectorOperator,
    /// The values compared with; empty for `Exists` and `DoesNotExist`.
    #[serde(default)]
    pub values: Vec<String>,
}

impl LabelSelectorRequirement {
    fn matches(&self, value: Option<&String>) -> bool {
        let listed = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            LabelSelectorOperator::In => listed,
            LabelSelectorOperator::NotIn => !listed,
            LabelSelectorOperator::Exists => value.is_some(),
            LabelSelectorOperator::DoesNotExist => value.is_none(),
        }
    }
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LabelSelectorOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_hold_together() {
        let check = |selector: &str, expect: bool| {
            let selector: LabelSelector = serde_json::from_str(selector).unwrap();
            let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
            assert_eq!(selector.matches(&labels), expect, "{selector:?}");
        };
        check("{}", true);
        check(r#"{"matchLabels": {"team": "a"}}"#, true);
        check(r#"{"matchLabels": {"team": "b"}}"#, false);
        check(
            r#"{"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]}"#,
            true,
        );
        check(
            r#"{"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}"#,
            false,
        );
        check(
            r#"{"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["a"]}]}"#,
            true,
        );
        check(
            r#"{"matchExpressions": [{"key": "tier", "operator": "Exists"}]}"#,
            false,
        );
        check(
            r#"{"matchLabels": {"team": "a"}, "matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}"#,
            false,
        );
    }
}

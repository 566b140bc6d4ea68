//! Values against the strict schema of their kind, in words that name the field and the fix.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;
use weir_crds::Kind;

/// The longest message of the schema library that is passed on as it is.
const MAX_MESSAGE: usize = 200;

/// The schema of a kind, and what checks it; `None` for one that cannot be built. The schemas are our own and a test
/// builds them all; without one, reading still refuses what does not fit, one defect at a time.
type Schema = OnceLock<Option<(Value, Validator)>>;

/// Built when first needed and kept: building one takes longer than checking a whole configuration by it.
static SCHEMAS: LazyLock<BTreeMap<Kind, Schema>> =
    LazyLock::new(|| Kind::ALL.iter().map(|kind| (*kind, Schema::new())).collect());

/// Every defect, as field and message.
pub(super) fn check(kind: Kind, value: &Value) -> Vec<(String, String)> {
    let build = || {
        let schema = kind.schema();
        let validator = jsonschema::validator_for(&schema).ok()?;
        Some((schema, validator))
    };
    let known = SCHEMAS.get(&kind).and_then(|it| it.get_or_init(build).as_ref());
    let Some((schema, validator)) = known else {
        return Vec::new();
    };
    validator
        .iter_errors(value)
        .flat_map(|error| describe(schema, &error))
        .collect()
}

fn describe(schema: &Value, error: &ValidationError<'_>) -> Vec<(String, String)> {
    let at = field(error.instance_path().as_str());
    let value = error.instance();
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = siblings(schema, error);
            let defect = |name: &String| {
                let hint = nearest(name, known.iter().map(String::as_str));
                let hint = match hint {
                    Some(hint) => format!("; did you mean {hint:?}?"),
                    None if known.is_empty() => String::new(),
                    None => format!("; the fields here are {}", known.join(", ")),
                };
                (join(&at, name), format!("unknown field {name:?}{hint}"))
            };
            unexpected.iter().map(defect).collect()
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![(join(&at, name), "required field is missing".to_owned())]
        }
        ValidationErrorKind::Type { kind } => {
            let expected = match kind {
                TypeKind::Single(it) => spoken(&it.to_string()).to_owned(),
                TypeKind::Multiple(set) => set
                    .iter()
                    .map(|it| spoken(&it.to_string()).to_owned())
                    .collect::<Vec<_>>()
                    .join(" or "),
            };
            vec![(at, format!("expected {expected}, got {}", type_name(value)))]
        }
        ValidationErrorKind::Enum { options } => {
            let words: Vec<_> = options
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let hint = value
                .as_str()
                .and_then(|value| nearest(value, words.iter().copied()));
            let hint = hint
                .map(|hint| format!("did you mean {hint:?}? "))
                .unwrap_or_default();
            vec![(
                at,
                format!(
                    "{value} is not understood; {hint}write one of {}",
                    words.join(", ")
                ),
            )]
        }
        _ => {
            let whole = error.to_string();
            // The value itself may be half the file.
            let message = if whole.len() > MAX_MESSAGE {
                error.masked().to_string()
            } else {
                whole
            };
            vec![(at, message)]
        }
    }
}

/// The fields that stand beside an unknown one.
fn siblings(schema: &Value, error: &ValidationError<'_>) -> Vec<String> {
    let path = error.schema_path().as_str();
    let Some((parent, _)) = path.rsplit_once('/') else {
        return Vec::new();
    };
    let properties = resolve(schema, parent)
        .and_then(|it| it.get("properties"))
        .and_then(Value::as_object);
    properties
        .map(|it| it.keys().cloned().collect())
        .unwrap_or_default()
}

/// Walks a schema path, following references.
fn resolve<'a>(schema: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = schema;
    for step in path.split('/').filter(|step| !step.is_empty()) {
        let step = step.replace("~1", "/").replace("~0", "~");
        at = match (step.as_str(), at) {
            ("$ref", at) => schema.pointer(at.get("$ref")?.as_str()?.strip_prefix('#')?)?,
            (_, Value::Array(items)) => items.get(step.parse::<usize>().ok()?)?,
            _ => at.get(&step)?,
        };
    }
    Some(at)
}

/// `/spec/rules/0/name` → `spec.rules[0].name`.
fn field(pointer: &str) -> String {
    let mut field = String::new();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        match step.bytes().all(|it| it.is_ascii_digit()) {
            true => field.push_str(&format!("[{step}]")),
            false => field = join(&field, &step),
        }
    }
    field
}

fn join(parent: &str, name: &str) -> String {
    match parent {
        "" => name.to_owned(),
        parent => format!("{parent}.{name}"),
    }
}

/// What people call a type.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "boolean",
        Value::Number(it) if it.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

fn spoken(name: &str) -> &str {
    match name {
        "array" => "list",
        name => name,
    }
}

/// The known word that was probably meant.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.len() / 2).clamp(1, 3);
    let distances = known.map(|it| (distance(&word.to_lowercase(), &it.to_lowercase()), it));
    distances
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, it)| it)
}

/// Levenshtein's distance, row by row.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let (mut corner, mut left) = (i, i + 1);
        for (above, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let cost = corner + usize::from(x != y);
            corner = *above;
            left = cost.min(left + 1).min(corner + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_schema_that_the_validator_takes() {
        for kind in Kind::ALL {
            assert!(jsonschema::validator_for(&kind.schema()).is_ok(), "{kind}");
        }
    }

    #[test]
    fn the_nearest_word_is_near() {
        let check = |word: &str, expect: Option<&str>| {
            assert_eq!(
                nearest(word, ["backendRefs", "matches", "filters"].into_iter()),
                expect,
                "{word}"
            );
        };
        check("backendRef", Some("backendRefs"));
        check("match", Some("matches"));
        check("timeouts", None);
    }
}

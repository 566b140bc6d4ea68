//! The matches of a rule, in the document's form.

use weir_config::document::{Match, PathMatch, ValueMatch, ValuePattern};
use weir_crds::gateway_api::{HttpPathMatch, HttpRouteMatch, HttpValueMatch, PathMatchType, ValueMatchType};
use weir_model::route::Pattern;

/// One match; what cannot be matched is reported with its field.
pub(super) fn translate(at: &str, condition: &HttpRouteMatch, defects: &mut Vec<String>) -> Match {
    let path = condition
        .path
        .as_ref()
        .map(|it| path(&format!("{at}.path"), it, defects));
    let values = |field: &str, values: &[HttpValueMatch], defects: &mut Vec<String>| -> Vec<ValueMatch> {
        let values = values.iter().enumerate();
        values
            .map(|(index, it)| value(&format!("{at}.{field}[{index}]"), it, defects))
            .collect()
    };
    let mut headers = values("headers", &condition.headers, defects);
    for (index, header) in headers.iter_mut().enumerate() {
        match header.name.parse::<http::HeaderName>() {
            Ok(name) => header.name = name.as_str().to_owned(),
            Err(_) => defects.push(format!(
                "{at}.headers[{index}].name: {:?} is not a header name",
                header.name
            )),
        }
    }
    let mut query = values("queryParams", &condition.query_params, defects);
    // The first of several conditions on one name counts (Gateway API).
    first_of_each_name(&mut headers);
    first_of_each_name(&mut query);
    Match {
        path,
        method: condition.method.map(|it| it.as_str().to_owned()),
        headers,
        query,
    }
}

fn path(at: &str, path: &HttpPathMatch, defects: &mut Vec<String>) -> PathMatch {
    let value = path.value.clone();
    if path.type_ == PathMatchType::RegularExpression {
        check_pattern(at, &value, defects);
        return PathMatch::Regex(value);
    }
    if !value.starts_with('/') {
        defects.push(format!("{at}.value: {value:?} must start with \"/\""));
    }
    match path.type_ {
        PathMatchType::Exact => PathMatch::Exact(value),
        _ => PathMatch::Prefix(value),
    }
}

fn value(at: &str, value: &HttpValueMatch, defects: &mut Vec<String>) -> ValueMatch {
    let pattern = match value.type_ {
        ValueMatchType::Exact => ValuePattern::Exact(value.value.clone()),
        ValueMatchType::RegularExpression => {
            check_pattern(at, &value.value, defects);
            ValuePattern::Regex(value.value.clone())
        }
    };
    ValueMatch {
        name: value.name.clone(),
        value: pattern,
    }
}

fn check_pattern(at: &str, pattern: &str, defects: &mut Vec<String>) {
    if let Err(error) = pattern.parse::<Pattern>() {
        let error = error.to_string();
        let reason = error
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        defects.push(format!(
            "{at}.value: {pattern:?} is not a regular expression: {reason}"
        ));
    }
}

fn first_of_each_name(values: &mut Vec<ValueMatch>) {
    let mut seen = std::collections::BTreeSet::new();
    values.retain(|it| seen.insert(it.name.clone()));
}

//! What a plugin may do and use: from the texts of Plugin and PluginPolicy objects to the document's form.

use std::str::FromStr;

use weir_config::document;
use weir_crds::weir::{Limits, PluginSpec};
use weir_model::Capability;

/// A field and what is wrong with it.
pub(crate) type Defect = (String, String);

/// Everything that is wrong with a Plugin.
pub(crate) fn plugin_defects(spec: &PluginSpec) -> Vec<Defect> {
    let mut defects = Vec::new();
    match (&spec.source.file, &spec.source.builtin) {
        (Some(_), None) => {}
        (None, Some(builtin)) if BUILTINS.contains(&builtin.name.as_str()) => {}
        (None, Some(builtin)) => {
            let message = format!(
                "there is no built-in {:?}; the built-ins are {}",
                builtin.name,
                BUILTINS.join(", ")
            );
            defects.push(("spec.source.builtin.name".to_owned(), message));
        }
        _ => defects.push((
            "spec.source".to_owned(),
            "write exactly one of file, builtin".to_owned(),
        )),
    }
    if let Some(digest) = &spec.digest {
        let hex = digest.strip_prefix("sha256:");
        if !hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())) {
            defects.push((
                "spec.digest".to_owned(),
                format!("{digest:?} is not sha256: and 64 hex digits"),
            ));
        }
    }
    defects.extend(capability_defects(&spec.capabilities));
    defects.extend(limits(&spec.limits).err().into_iter().flatten());
    defects
}

/// The plugins that every gateway carries.
const BUILTINS: [&str; 3] = ["access-log", "direct-response", "transformation"];

/// What is wrong with a list of capabilities under `spec.capabilities`.
pub(crate) fn capability_defects(capabilities: &[String]) -> Vec<Defect> {
    let defect = |(index, text): (usize, &String)| {
        let error = Capability::from_str(text).err()?;
        Some((format!("spec.capabilities[{index}]"), error.to_string()))
    };
    capabilities.iter().enumerate().filter_map(defect).collect()
}

/// The limits in numbers, or what is wrong with the texts under `spec.limits`.
pub(crate) fn limits(limits: &Limits) -> Result<document::Limits, Vec<Defect>> {
    let mut defects = Vec::new();
    let mut read = |field: &str, text: &Option<String>, read: fn(&str) -> Option<u64>, example: &str| {
        let text = text.as_ref()?;
        let value = read(text).filter(|it| *it > 0);
        if value.is_none() {
            let message = format!("{text:?} is not understood; write something like {example}");
            defects.push((format!("spec.limits.{field}"), message));
        }
        value
    };
    let limits = document::Limits {
        memory_bytes: read("memory", &limits.memory, quantity, "32Mi"),
        deadline_millis: read("deadline", &limits.deadline, millis, "20ms"),
        body_bytes: read("body", &limits.body, quantity, "1Mi"),
        instances: limits.instances,
    };
    if defects.is_empty() {
        Ok(limits)
    } else {
        Err(defects)
    }
}

/// Which limits of a use are wider than those of its plugin.
pub(crate) fn wider(plugin: &document::Limits, own: &document::Limits) -> Vec<Defect> {
    let default = weir_model::Limits::DEFAULT;
    let deadline = u64::try_from(default.deadline.as_millis()).unwrap_or(u64::MAX);
    let pairs = [
        (
            "memory",
            own.memory_bytes,
            plugin.memory_bytes.unwrap_or(default.memory),
        ),
        (
            "deadline",
            own.deadline_millis,
            plugin.deadline_millis.unwrap_or(deadline),
        ),
        ("body", own.body_bytes, plugin.body_bytes.unwrap_or(default.body)),
        (
            "instances",
            own.instances.map(u64::from),
            plugin.instances.unwrap_or(default.instances).into(),
        ),
    ];
    let defect = |(field, own, limit): (&str, Option<u64>, u64)| {
        let own = own.filter(|own| *own > limit)?;
        let message = format!("{own} is wider than the plugin's own {limit}; raise it in the Plugin");
        Some((format!("spec.limits.{field}"), message))
    };
    pairs.into_iter().filter_map(defect).collect()
}

/// A Kubernetes quantity in whole units: `512`, `64Ki`, `32Mi`, `1G`.
fn quantity(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(digits)?;
    let factor = match suffix {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// A duration as Gateway API writes it (GEP-2257): up to four parts such as `1m30s` or `20ms`.
fn millis(text: &str) -> Option<u64> {
    let (mut rest, mut total, mut parts) = (text, 0_u64, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let units = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
        let (tail, factor) = units
            .into_iter()
            .find_map(|(unit, factor)| Some((tail.strip_prefix(unit)?, factor)))?;
        (1..=5).contains(&number.len()).then_some(())?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        parts += 1;
        rest = tail;
    }
    (1..=4).contains(&parts).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_those_of_kubernetes() {
        let check = |text: &str, expect: Option<u64>| assert_eq!(quantity(text), expect, "{text}");
        check("512", Some(512));
        check("32Mi", Some(32 << 20));
        check("1G", Some(1_000_000_000));
        check("1.5Gi", None);
        check("Mi", None);
        check("99999999999Gi", None);
        check("32MB", None);
    }

    #[test]
    fn durations_are_those_of_gateway_api() {
        let check = |text: &str, expect: Option<u64>| assert_eq!(millis(text), expect, "{text}");
        check("20ms", Some(20));
        check("1m30s", Some(90_000));
        check("1h", Some(3_600_000));
        check("20", None);
        check("", None);
        check("1.5s", None);
        check("123456s", None);
    }
}

//! What a plugin may do and use: from the texts of Plugin and PluginPolicy objects to the document's form.

use std::str::FromStr;
use std::time::Duration;

use weir_config::document;
use weir_crds::weir::Limits;
use weir_model::Capability;

/// A field and what is wrong with it.
pub(crate) type Defect = (String, String);

/// Defects as conditions show them.
pub(crate) fn lines(defects: &[Defect]) -> Vec<String> {
    defects
        .iter()
        .map(|(field, message)| format!("{field}: {message}"))
        .collect()
}

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
        table_elements: limits.table_elements,
        deadline_millis: read("deadline", &limits.deadline, millis, "20ms"),
        timeout_millis: read("timeout", &limits.timeout, millis, "10s"),
        body_bytes: read("body", &limits.body, quantity, "1Mi"),
        instances: limits.instances,
        callouts: limits.callouts,
        log_lines: limits.log_lines,
        kv_bytes: read("kv", &limits.kv, quantity, "16Mi"),
    };
    if defects.is_empty() {
        Ok(limits)
    } else {
        Err(defects)
    }
}

/// The limits of a use in numbers, or what is wrong with them: as on a Plugin, without `kv`.
pub(crate) fn limits_of_use(own: &Limits) -> Result<document::Limits, Vec<Defect>> {
    let found = limits(own);
    if own.kv.is_none() {
        return found;
    }
    let mut defects = found.err().unwrap_or_default();
    let message = "all uses of a plugin share its key-value namespace; set it in the Plugin";
    defects.retain(|(field, _)| field != "spec.limits.kv");
    defects.push(("spec.limits.kv".to_owned(), message.to_owned()));
    Err(defects)
}

/// Which limits of a use are wider than those of its plugin.
pub(crate) fn wider(plugin: &document::Limits, own: &document::Limits) -> Vec<Defect> {
    let default = weir_model::Limits::DEFAULT;
    let millis = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
    let wide = |it: Option<u32>| it.map(u64::from);
    let pairs = [
        ("memory", own.memory_bytes, plugin.memory_bytes, default.memory),
        (
            "tableElements",
            wide(own.table_elements),
            wide(plugin.table_elements),
            default.table_elements.into(),
        ),
        (
            "deadline",
            own.deadline_millis,
            plugin.deadline_millis,
            millis(default.deadline),
        ),
        (
            "timeout",
            own.timeout_millis,
            plugin.timeout_millis,
            millis(default.timeout),
        ),
        ("body", own.body_bytes, plugin.body_bytes, default.body),
        (
            "instances",
            wide(own.instances),
            wide(plugin.instances),
            default.instances.into(),
        ),
        (
            "callouts",
            wide(own.callouts),
            wide(plugin.callouts),
            default.callouts.into(),
        ),
        (
            "logLines",
            wide(own.log_lines),
            wide(plugin.log_lines),
            default.log_lines.into(),
        ),
    ];
    let defect = |(field, own, limit, default): (&str, Option<u64>, Option<u64>, u64)| {
        let limit = limit.unwrap_or(default);
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
pub(crate) fn millis(text: &str) -> Option<u64> {
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

//! When a condition last changed: what Kubernetes keeps in an object and a gateway without a cluster must
//! remember itself.

use std::collections::HashMap;
use std::time::SystemTime;

use serde_json::Value;

/// The status of each condition and since when it has it.
#[derive(Debug, Default)]
pub(super) struct Transitions {
    since: HashMap<String, (String, String)>,
}

impl Transitions {
    /// Adds `lastTransitionTime` to every condition of these objects, and forgets all others.
    pub(super) fn stamp(&mut self, objects: &mut [Value], now: SystemTime) {
        let now = humantime::format_rfc3339_seconds(now).to_string();
        let mut seen = HashMap::new();
        for object in objects {
            let name = format!("{} {}", object["kind"], object["metadata"]);
            self.visit(&name, &mut object["status"], &now, &mut seen);
        }
        self.since = seen;
    }

    fn visit(&self, path: &str, value: &mut Value, now: &str, seen: &mut HashMap<String, (String, String)>) {
        match value {
            Value::Object(fields) => {
                if let (Some(Value::String(kind)), Some(Value::String(status))) =
                    (fields.get("type"), fields.get("status"))
                {
                    let key = format!("{path} {kind}");
                    let known = self.since.get(&key).filter(|(was, _)| was == status);
                    let since = known.map_or_else(|| now.to_owned(), |(_, since)| since.clone());
                    seen.insert(key, (status.clone(), since.clone()));
                    fields.insert("lastTransitionTime".to_owned(), since.into());
                    return;
                }
                for (name, field) in fields {
                    self.visit(&format!("{path}/{name}"), field, now, seen);
                }
            }
            // Conditions are told apart by their type, other entries by their position.
            Value::Array(items) if path.ends_with("/conditions") => {
                items
                    .iter_mut()
                    .for_each(|item| self.visit(path, item, now, seen));
            }
            Value::Array(items) => {
                for (at, item) in items.iter_mut().enumerate() {
                    self.visit(&format!("{path}/{at}"), item, now, seen);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn times(objects: &[Value]) -> Vec<&str> {
        let conditions = objects[0]["status"]["parents"][0]["conditions"]
            .as_array()
            .unwrap();
        conditions
            .iter()
            .map(|it| it["lastTransitionTime"].as_str().unwrap())
            .collect()
    }

    #[test]
    fn a_time_changes_only_with_the_status() {
        let object = |accepted: &str| {
            let conditions =
                json!([{"type": "Accepted", "status": accepted}, {"type": "ResolvedRefs", "status": "True"}]);
            [
                json!({"kind": "HTTPRoute", "metadata": {"name": "a"}, "status": {"parents": [{"conditions": conditions}]}}),
            ]
        };
        let mut transitions = Transitions::default();
        let start = SystemTime::UNIX_EPOCH;
        let mut objects = object("True");
        transitions.stamp(&mut objects, start);
        assert_eq!(times(&objects), ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"]);
        let mut objects = object("False");
        transitions.stamp(&mut objects, start + Duration::from_secs(60));
        assert_eq!(times(&objects), ["1970-01-01T00:01:00Z", "1970-01-01T00:00:00Z"]);
    }
}

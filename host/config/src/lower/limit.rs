//! Limits: those of a plugin over the defaults, those of a use under the plugin's.

use std::time::Duration;

use weir_model as model;

use crate::document;

/// What a plugin's object says, over the defaults.
pub(super) fn chosen(base: model::Limits, limits: &document::Limits) -> model::Limits {
    let millis = |own: Option<u64>, base| own.map_or(base, Duration::from_millis);
    model::Limits {
        memory: limits.memory_bytes.unwrap_or(base.memory),
        table_elements: limits.table_elements.unwrap_or(base.table_elements),
        deadline: millis(limits.deadline_millis, base.deadline),
        timeout: millis(limits.timeout_millis, base.timeout),
        body: limits.body_bytes.unwrap_or(base.body),
        instances: limits.instances.unwrap_or(base.instances).max(1),
        callouts: limits.callouts.unwrap_or(base.callouts),
        log_lines: limits.log_lines.unwrap_or(base.log_lines),
        kv_bytes: limits.kv_bytes.unwrap_or(base.kv_bytes),
    }
}

/// What a use of a plugin says: never wider than the plugin's own limits.
pub(super) fn narrowed(base: model::Limits, limits: &document::Limits) -> model::Limits {
    let wanted = chosen(base, limits);
    model::Limits {
        memory: wanted.memory.min(base.memory),
        table_elements: wanted.table_elements.min(base.table_elements),
        deadline: wanted.deadline.min(base.deadline),
        timeout: wanted.timeout.min(base.timeout),
        body: wanted.body.min(base.body),
        instances: wanted.instances.min(base.instances),
        callouts: wanted.callouts.min(base.callouts),
        log_lines: wanted.log_lines.min(base.log_lines),
        kv_bytes: base.kv_bytes,
    }
}

//! kgateway's DirectResponse → a filter that answers, last in the chain of its rule.

use serde_json::{Map, Value};
use weir_config::document::{FailureMode, Filter, Limits};
use weir_crds::kgateway::DirectResponse;
use weir_crds::weir::Predicate;
use weir_model::Stage;

use crate::chain::Link;

/// The filter.
pub(super) fn link(response: &DirectResponse) -> Link {
    let path = response.metadata.path();
    let mut config = Map::new();
    config.insert("status".to_owned(), response.spec.status.into());
    if let Some(body) = &response.spec.body {
        config.insert("body".to_owned(), body.clone().into());
    }
    let filter = Filter {
        name: format!("DirectResponse/{path}"),
        plugin: "builtin/direct-response".to_owned(),
        config: Value::Object(config),
        stage: Stage::Route.to_string(),
        failure_mode: FailureMode::Closed,
        capabilities: Some(Vec::new()),
        limits: Limits::default(),
        isolation: None,
        backends: None,
        origin: vec![format!("DirectResponse {path}")],
    };
    // It stands for the backend, so every other filter of the request comes before it.
    Link {
        filter,
        predicate: Predicate::After,
        weight: i64::MIN,
    }
}

/// What of it this version cannot do.
pub(super) fn defects(response: &DirectResponse) -> Vec<String> {
    let message = "spec.bodyFormat: not supported by this version of Weir; write spec.body. \
                   Rules that name this object answer 500";
    Vec::from_iter(response.spec.body_format.is_some().then(|| message.to_owned()))
}

//! kgateway's HTTPListenerPolicy → the access log of each listener of its Gateways.

use serde_json::{Value, json};
use weir_config::document::{FailureMode, Filter, Limits};
use weir_crds::Kind;
use weir_crds::kgateway::{AccessLog, FileSink, HttpListenerPolicy};
use weir_crds::weir::Predicate;
use weir_model::{Capability, Stage};

use super::Governed;
use super::report::{Effect, Report};
use super::site::Site;
use super::target::Targets;
use crate::chain::{Link, Overridden};

/// A policy with its targets.
pub(super) struct State<'a> {
    targets: Targets,
    link: Option<Link>,
    pub(super) report: Report<'a>,
}

impl<'a> State<'a> {
    pub(super) fn new(input: &crate::Input, policy: &'a HttpListenerPolicy) -> Self {
        let spec = &policy.spec;
        let kinds = [Kind::Gateway];
        let targets = Targets::resolve(
            input,
            &policy.metadata,
            &kinds,
            &spec.target_refs,
            &spec.target_selectors,
        );
        let mut defects: Vec<_> = spec
            .other_fields()
            .map(|it| format!("spec.{it}: not supported by this version of Weir"))
            .collect();
        let mut sinks = Vec::new();
        for (index, entry) in spec.access_log.iter().enumerate() {
            match sink(&format!("spec.accessLog[{index}]"), entry) {
                Ok(sink) => sinks.push(sink),
                Err(defect) => defects.push(format!("{defect}; this entry logs nothing")),
            }
        }
        let link = (!sinks.is_empty()).then(|| link(&policy.metadata.path(), sinks));
        let report = Report::new(
            Kind::HTTPListenerPolicy,
            &policy.metadata,
            &targets,
            defects,
            link.is_some(),
        );
        Self {
            targets,
            link,
            report,
        }
    }
}

/// One sink: its path and the configuration of the plugin for it.
fn sink(at: &str, entry: &AccessLog) -> Result<(Capability, Value), String> {
    let others = [
        ("grpcService", entry.grpc_service.is_some()),
        ("openTelemetry", entry.open_telemetry.is_some()),
        ("filter", entry.filter.is_some()),
    ];
    if let Some((name, _)) = others.into_iter().find(|(_, is_set)| *is_set) {
        return Err(format!("{at}.{name}: not supported by this version of Weir"));
    }
    let Some(FileSink {
        path,
        string_format,
        json_format,
    }) = &entry.file_sink
    else {
        return Err(format!("{at}.fileSink: required field is missing"));
    };
    if !path.starts_with('/') {
        return Err(format!("{at}.fileSink.path: {path:?} is not an absolute path"));
    }
    let format = match (string_format, json_format) {
        (Some(text), None) => json!({ "text": text }),
        (None, Some(object)) => json!({ "json": object }),
        _ => {
            return Err(format!(
                "{at}.fileSink: write exactly one of stringFormat, jsonFormat"
            ));
        }
    };
    Ok((
        Capability::Sink(path.clone()),
        json!({ "path": path, "format": format }),
    ))
}

fn link(path: &str, sinks: Vec<(Capability, Value)>) -> Link {
    let (mut capabilities, mut configs) = (Vec::new(), Vec::new());
    for (capability, config) in sinks {
        capabilities.push(capability.to_string());
        configs.push(config);
    }
    capabilities.sort_unstable();
    capabilities.dedup();
    let filter = Filter {
        name: format!("HTTPListenerPolicy/{path}"),
        plugin: "builtin/access-log".to_owned(),
        config: json!({ "sinks": configs }),
        stage: Stage::Fault.to_string(),
        // A log that cannot be written must not cost the request.
        failure_mode: FailureMode::Open,
        capabilities: Some(capabilities),
        limits: Limits::default(),
        isolation: None,
        backends: None,
        origin: vec![format!("HTTPListenerPolicy {path}")],
    };
    // First, so that it is told of what any other filter answered.
    Link {
        filter,
        predicate: Predicate::Before,
        weight: i64::MAX,
    }
}

/// The oldest policy with an access log wins; policies come sorted by age.
pub(super) fn govern(policies: &mut [State<'_>], site: &Site<'_>, governed: &mut Governed) {
    let mut winner: Option<String> = None;
    for policy in policies.iter_mut().filter(|it| it.targets.level(site).is_some()) {
        policy.report.reaches(site);
        if policy.report.effect == Effect::Nothing {
            continue;
        }
        let Some(link) = &policy.link else { continue };
        match &winner {
            None => {
                winner = Some(policy.report.object());
                governed.links.push(link.clone());
                policy.report.applied(site);
            }
            Some(winner) => {
                policy.report.lost(site, winner);
                governed.overridden.push(Overridden {
                    loser: policy.report.object(),
                    winner: winner.clone(),
                    field: "accessLog".to_owned(),
                    why: "the winner is older, or first by name".to_owned(),
                });
            }
        }
    }
}

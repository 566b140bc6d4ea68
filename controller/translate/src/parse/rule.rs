//! Rules between fields, which a JSON schema cannot say: those that the kinds' own CRDs check.

use std::collections::BTreeSet;

use weir_crds::gateway_api::{FilterType, Gateway, HttpRoute, HttpRouteFilter, PathMatchType};
use weir_crds::kgateway::{Backend, DirectResponse, HttpListenerPolicy};
use weir_crds::weir::{Plugin, PluginPolicy};
use weir_crds::{Object, ObjectMeta};
use weir_model::Hostname;

use crate::backend::Reference;
use crate::policy::{MERGE_ANNOTATIONS, MERGE_STRATEGIES};
use crate::{gateway, limit, plugin, secret};

/// A field and what is wrong with it.
type Defect = (String, String);

/// Every rule that an object breaks.
pub(super) fn check(object: &Object) -> Vec<Defect> {
    let mut defects = fields(object);
    defects.extend(annotations(object.metadata()));
    defects
}

/// What works and is hardly meant.
pub(super) fn notice(object: &Object) -> Option<Defect> {
    match object {
        Object::HTTPRoute(route) if route.spec.parent_refs.is_empty() => {
            let message = "the route attaches to nothing; name a Gateway";
            Some(("spec.parentRefs".to_owned(), message.to_owned()))
        }
        Object::Gateway(it) => gateway::detail_header(it).err(),
        _ => None,
    }
}

fn fields(object: &Object) -> Vec<Defect> {
    match object {
        Object::Gateway(it) => listeners(it),
        Object::HTTPRoute(it) => http_route(it),
        Object::Backend(it) => backend(it),
        Object::DirectResponse(it) => direct_response(it),
        Object::HTTPListenerPolicy(it) => http_listener_policy(it),
        Object::Secret(it) => secret::defects(it),
        Object::Plugin(it) => plugin(it),
        Object::PluginPolicy(it) => plugin_policy(it),
        _ => Vec::new(),
    }
}

/// kgateway keeps some settings in annotations, which no schema checks.
fn annotations(metadata: &ObjectMeta) -> Vec<Defect> {
    let defect = |(name, value): (&String, &String)| {
        let wanted = match name.as_str() {
            "kgateway.dev/policy-weight" if value.parse::<i64>().is_err() => "an integer",
            name if MERGE_ANNOTATIONS.contains(&name) && !MERGE_STRATEGIES.contains(&value.as_str()) => {
                "ShallowMergePreferChild, ShallowMergePreferParent, DeepMergePreferChild or DeepMergePreferParent"
            }
            _ => return None,
        };
        Some((
            format!("metadata.annotations[{name}]"),
            format!("{value:?} is not understood; write {wanted}"),
        ))
    };
    metadata.annotations.iter().filter_map(defect).collect()
}

fn listeners(gateway: &Gateway) -> Vec<Defect> {
    let mut defects = Vec::new();
    let mut names = BTreeSet::new();
    for (index, listener) in gateway.spec.listeners.iter().enumerate() {
        let at = format!("spec.listeners[{index}]");
        if !names.insert(&listener.name) {
            defects.push((
                format!("{at}.name"),
                format!("{:?} stands twice; names are unique", listener.name),
            ));
        }
        if listener.tls.is_some() && matches!(listener.protocol.as_str(), "HTTP" | "TCP" | "UDP") {
            let message = format!("must not be set for protocol {}; remove it", listener.protocol);
            defects.push((format!("{at}.tls"), message));
        }
        if let Some(hostname) = &listener.hostname {
            defects.extend(
                hostname
                    .parse::<Hostname>()
                    .err()
                    .map(|it| (format!("{at}.hostname"), it.to_string())),
            );
        }
    }
    defects
}

fn http_route(route: &HttpRoute) -> Vec<Defect> {
    let mut defects = Vec::new();
    for (index, hostname) in route.spec.hostnames.iter().enumerate() {
        let error = hostname.parse::<Hostname>().err();
        defects.extend(error.map(|it| (format!("spec.hostnames[{index}]"), it.to_string())));
    }
    let mut names = BTreeSet::new();
    for (index, rule) in route.spec.rules.iter().enumerate() {
        let at = format!("spec.rules[{index}]");
        if let Some(name) = rule.name.as_ref().filter(|name| !names.insert(*name)) {
            defects.push((
                format!("{at}.name"),
                format!("{name:?} stands twice; names are unique"),
            ));
        }
        for (index, condition) in rule.matches.iter().enumerate() {
            let path = condition
                .path
                .as_ref()
                .filter(|it| it.type_ != PathMatchType::RegularExpression);
            if let Some(path) = path.filter(|it| !it.value.starts_with('/')) {
                let message = format!("{:?} must start with \"/\"", path.value);
                defects.push((format!("{at}.matches[{index}].path.value"), message));
            }
        }
        for (index, filter) in rule.filters.iter().enumerate() {
            defects.extend(route_filter(&format!("{at}.filters[{index}]"), filter));
        }
        for (index, backend) in rule.backend_refs.iter().enumerate() {
            defects.extend(missing_port(
                &format!("{at}.backendRefs[{index}]"),
                &backend.into(),
                backend.port,
            ));
        }
    }
    defects
}

/// A filter sets the member of its type's name and no other.
fn route_filter(at: &str, filter: &HttpRouteFilter) -> Vec<Defect> {
    use FilterType as T;
    let members = [
        (
            T::RequestHeaderModifier,
            "requestHeaderModifier",
            filter.request_header_modifier.is_some(),
        ),
        (
            T::ResponseHeaderModifier,
            "responseHeaderModifier",
            filter.response_header_modifier.is_some(),
        ),
        (T::RequestMirror, "requestMirror", filter.request_mirror.is_some()),
        (
            T::RequestRedirect,
            "requestRedirect",
            filter.request_redirect.is_some(),
        ),
        (T::UrlRewrite, "urlRewrite", filter.url_rewrite.is_some()),
        (T::Cors, "cors", filter.cors.is_some()),
        (T::ExternalAuth, "externalAuth", filter.external_auth.is_some()),
        (T::ExtensionRef, "extensionRef", filter.extension_ref.is_some()),
    ];
    let defect = |(type_, name, is_set): (T, &str, bool)| {
        let message = match (type_ == filter.type_, is_set) {
            (true, false) => "required for a filter of this type",
            (false, true) => "must not be set in a filter of another type; remove it or change the type",
            _ => return None,
        };
        Some((format!("{at}.{name}"), message.to_owned()))
    };
    members.into_iter().filter_map(defect).collect()
}

fn backend(backend: &Backend) -> Vec<Defect> {
    match backend.spec.members().count() {
        1 => Vec::new(),
        _ => vec![(
            "spec".to_owned(),
            "write exactly one backend, such as static".to_owned(),
        )],
    }
}

fn direct_response(response: &DirectResponse) -> Vec<Defect> {
    let both = response.spec.body.is_some() && response.spec.body_format.is_some();
    let message = || "write body or bodyFormat, not both".to_owned();
    Vec::from_iter(both.then(|| ("spec.bodyFormat".to_owned(), message())))
}

fn http_listener_policy(policy: &HttpListenerPolicy) -> Vec<Defect> {
    let mut defects = Vec::new();
    for (index, entry) in policy.spec.access_log.iter().enumerate() {
        let at = format!("spec.accessLog[{index}]");
        let sinks = [
            entry.file_sink.is_some(),
            entry.grpc_service.is_some(),
            entry.open_telemetry.is_some(),
        ];
        if sinks.iter().all(|is_set| !is_set) {
            defects.push((
                at.clone(),
                "write a sink: fileSink, grpcService or openTelemetry".to_owned(),
            ));
        }
        let formats = entry
            .file_sink
            .as_ref()
            .map(|it| [it.string_format.is_some(), it.json_format.is_some()]);
        if formats.is_some_and(|[text, json]| text == json) {
            defects.push((
                format!("{at}.fileSink"),
                "write exactly one of stringFormat, jsonFormat".to_owned(),
            ));
        }
    }
    defects
}

fn plugin(plugin: &Plugin) -> Vec<Defect> {
    let mut defects = plugin::defects(&plugin.spec);
    for (index, backend) in plugin.spec.backends.iter().enumerate() {
        let reference = &backend.backend_ref;
        let at = format!("spec.backends[{index}].backendRef");
        defects.extend(missing_port(&at, &reference.into(), reference.port));
    }
    defects
}

fn plugin_policy(policy: &PluginPolicy) -> Vec<Defect> {
    let spec = &policy.spec;
    let mut defects = limit::capability_defects(spec.capabilities.as_deref().unwrap_or_default());
    defects.extend(limit::limits_of_use(&spec.limits).err().into_iter().flatten());
    let backends = spec.backends.as_deref().unwrap_or_default();
    defects.extend(plugin::repeated(backends.iter().map(|it| it.name.as_str())));
    for (index, backend) in backends.iter().enumerate() {
        if let Some(reference) = &backend.backend_ref {
            let at = format!("spec.backends[{index}].backendRef");
            defects.extend(missing_port(&at, &reference.into(), reference.port));
        }
    }
    defects
}

fn missing_port(at: &str, reference: &Reference<'_>, port: Option<u16>) -> Option<Defect> {
    let message = "required field is missing: a Service has a port";
    (reference.is_service() && port.is_none()).then(|| (format!("{at}.port"), message.to_owned()))
}

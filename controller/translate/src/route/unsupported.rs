//! Real fields of HTTPRoute that this version does not act on. A route that sets one is refused whole:
//! serving it without the field would do something else than what was asked for.

use weir_crds::gateway_api::{FilterType, HttpRoute, HttpRouteFilter};

/// The fields set, each with what to do.
pub(super) fn fields(route: &HttpRoute) -> Vec<String> {
    let mut found = Vec::new();
    if route.spec.use_default_gateways.is_some() {
        found.push(unsupported("spec.useDefaultGateways"));
    }
    for (index, rule) in route.spec.rules.iter().enumerate() {
        let at = format!("spec.rules[{index}]");
        found.extend(
            rule.timeouts
                .as_ref()
                .map(|_| unsupported(&format!("{at}.timeouts"))),
        );
        found.extend(rule.retry.as_ref().map(|_| unsupported(&format!("{at}.retry"))));
        found.extend(
            rule.session_persistence
                .as_ref()
                .map(|_| unsupported(&format!("{at}.sessionPersistence"))),
        );
        found.extend(
            rule.filters
                .iter()
                .enumerate()
                .filter_map(|(index, it)| filter(&format!("{at}.filters[{index}]"), it)),
        );
        for (index, backend) in rule.backend_refs.iter().enumerate() {
            if !backend.filters.is_empty() {
                found.push(unsupported(&format!("{at}.backendRefs[{index}].filters")));
            }
        }
    }
    found
}

fn filter(at: &str, filter: &HttpRouteFilter) -> Option<String> {
    let name = match filter.type_ {
        FilterType::RequestHeaderModifier => "requestHeaderModifier",
        FilterType::ResponseHeaderModifier => "responseHeaderModifier",
        FilterType::RequestMirror => "requestMirror",
        FilterType::RequestRedirect => "requestRedirect",
        FilterType::UrlRewrite => "urlRewrite",
        FilterType::Cors => "cors",
        FilterType::ExternalAuth => "externalAuth",
        FilterType::ExtensionRef => {
            let message = || format!("{at}.extensionRef: required for a filter of type ExtensionRef");
            return filter.extension_ref.is_none().then(message);
        }
    };
    Some(unsupported(&format!("{at}.{name}")))
}

fn unsupported(field: &str) -> String {
    format!("{field}: not supported by this version of Weir; remove it")
}

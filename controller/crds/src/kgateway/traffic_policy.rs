//! `TrafficPolicy`: what happens to the requests of a Gateway, listener, route or rule.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{TargetReference, TargetSelector, Transformation};
use crate::Resource;

/// A policy.
pub type TrafficPolicy = Resource<TrafficPolicySpec>;

macro_rules! traffic_policy {
    ($($field:ident: $name:literal,)*) => {
        /// What a policy says. Only `transformation` has a typed form so far; the other fields are held as
        /// written.
        #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        #[expect(missing_docs, reason = "the fields are kgateway's")]
        pub struct TrafficPolicySpec {
            #[serde(default)]
            #[schemars(length(max = 16))]
            pub target_refs: Vec<TargetReference>,
            #[serde(default)]
            pub target_selectors: Vec<TargetSelector>,
            #[serde(default)]
            pub transformation: Option<Transformation>,
            $(#[serde(default, rename = $name)] pub $field: Option<Value>,)*
        }

        impl TrafficPolicySpec {
            /// The fields beside `transformation` that are set, by name.
            pub fn other_fields(&self) -> impl Iterator<Item = &'static str> {
                [$(($name, self.$field.is_some()),)*]
                    .into_iter()
                    .filter_map(|(name, is_set)| is_set.then_some(name))
            }
        }
    };
}

traffic_policy! {
    acl: "acl",
    ai: "ai",
    api_key_auth: "apiKeyAuth",
    api_key_authentication: "apiKeyAuthentication",
    auto_host_rewrite: "autoHostRewrite",
    basic_auth: "basicAuth",
    buffer: "buffer",
    compression: "compression",
    cors: "cors",
    csrf: "csrf",
    ext_auth: "extAuth",
    ext_proc: "extProc",
    fault_injection: "faultInjection",
    header_modifiers: "headerModifiers",
    internal_redirect: "internalRedirect",
    jwt: "jwt",
    jwt_auth: "jwtAuth",
    oauth2: "oauth2",
    rate_limit: "rateLimit",
    rbac: "rbac",
    request_mirror: "requestMirror",
    retry: "retry",
    stat_prefix: "statPrefix",
    timeouts: "timeouts",
    tracing: "tracing",
    url_rewrite: "urlRewrite",
}

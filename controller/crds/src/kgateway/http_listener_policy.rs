//! `HTTPListenerPolicy`: settings of all listeners of a Gateway.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{TargetReference, TargetSelector};
use crate::Resource;

/// A policy.
pub type HttpListenerPolicy = Resource<HttpListenerPolicySpec>;

macro_rules! http_listener_policy {
    ($($field:ident: $name:literal,)*) => {
        /// What a policy says. Only `accessLog` has a typed form so far; the other fields are held as
        /// written.
        #[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        #[expect(missing_docs, reason = "the fields are kgateway's")]
        pub struct HttpListenerPolicySpec {
            #[serde(default)]
            #[schemars(length(max = 16))]
            pub target_refs: Vec<TargetReference>,
            #[serde(default)]
            pub target_selectors: Vec<TargetSelector>,
            #[serde(default)]
            #[schemars(length(max = 16))]
            pub access_log: Vec<AccessLog>,
            $(#[serde(default, rename = $name)] pub $field: Option<Value>,)*
        }

        impl HttpListenerPolicySpec {
            /// The fields beside `accessLog` that are set, by name.
            pub fn other_fields(&self) -> impl Iterator<Item = &'static str> {
                [$(($name, self.$field.is_some()),)*]
                    .into_iter()
                    .filter_map(|(name, is_set)| is_set.then_some(name))
            }
        }
    };
}

http_listener_policy! {
    accept_http10: "acceptHttp10",
    default_host_for_http10: "defaultHostForHttp10",
    early_request_header_modifier: "earlyRequestHeaderModifier",
    forward_client_cert_details: "forwardClientCertDetails",
    generate_request_id: "generateRequestId",
    health_check: "healthCheck",
    http2_protocol_options: "http2ProtocolOptions",
    idle_timeout: "idleTimeout",
    local_replies: "localReplies",
    max_headers_count: "maxHeadersCount",
    max_request_headers_kb: "maxRequestHeadersKb",
    max_requests_per_connection: "maxRequestsPerConnection",
    preserve_external_request_id: "preserveExternalRequestId",
    preserve_http1_header_case: "preserveHttp1HeaderCase",
    proxy_100_continue: "proxy100Continue",
    server_header_transformation: "serverHeaderTransformation",
    server_name: "serverName",
    skip_xff_append: "skipXFFAppend",
    stream_idle_timeout: "streamIdleTimeout",
    strip_host_port_mode: "stripHostPortMode",
    strip_trailing_host_dot: "stripTrailingHostDot",
    tracing: "tracing",
    upgrade_config: "upgradeConfig",
    use_remote_address: "useRemoteAddress",
    uuid_request_id_config: "uuidRequestIdConfig",
    xff_num_trusted_hops: "xffNumTrustedHops",
    xff_trusted_cidrs: "xffTrustedCIDRs",
}

/// One access log: a sink, and which exchanges it is told of.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AccessLog {
    /// Lines in a file.
    #[serde(default)]
    pub file_sink: Option<FileSink>,
    /// Envoy's access log service.
    #[serde(default)]
    pub grpc_service: Option<Value>,
    /// OpenTelemetry logs.
    #[serde(default)]
    pub open_telemetry: Option<Value>,
    /// Which exchanges are logged; all when absent.
    #[serde(default)]
    pub filter: Option<Value>,
}

/// Lines in a file; exactly one of the formats is set.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FileSink {
    /// The file.
    #[schemars(length(min = 1))]
    pub path: String,
    /// A line of text.
    #[serde(default)]
    pub string_format: Option<String>,
    /// An object whose leaves are format strings.
    #[serde(default)]
    pub json_format: Option<Map<String, Value>>,
}

//! `HTTPRoute`: what is matched, and where it goes.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::HttpRouteFilter;
use crate::Resource;

/// A route.
pub type HttpRoute = Resource<HttpRouteSpec>;

/// What a route says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpRouteSpec {
    /// The Gateways it wants to attach to.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub parent_refs: Vec<ParentReference>,
    /// The hosts served; the listener's when empty.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub hostnames: Vec<String>,
    /// The rules; one that matches everything when absent.
    #[serde(default = "whole_traffic")]
    #[schemars(length(min = 1, max = 16))]
    pub rules: Vec<HttpRouteRule>,
    /// Experimental channel: which default Gateways to use.
    #[serde(default)]
    pub use_default_gateways: Option<String>,
}

fn whole_traffic() -> Vec<HttpRouteRule> {
    vec![HttpRouteRule::default()]
}

/// Names a parent of a route.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ParentReference {
    /// Gateway API's own when absent.
    #[serde(default)]
    pub group: Option<String>,
    /// `Gateway` when absent.
    #[serde(default)]
    pub kind: Option<String>,
    /// The route's own when absent.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The parent's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The listener; all when absent.
    #[serde(default)]
    pub section_name: Option<String>,
    /// The listeners' port; all when absent.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}

/// One rule of a route.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpRouteRule {
    /// Unique in the route; policies attach to it.
    #[serde(default)]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// Alternatives; everything when empty.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub matches: Vec<HttpRouteMatch>,
    /// What is done to matching requests.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub filters: Vec<HttpRouteFilter>,
    /// Where they go.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub backend_refs: Vec<HttpBackendRef>,
    /// How long they may take.
    #[serde(default)]
    pub timeouts: Option<Timeouts>,
    /// When they are tried again.
    #[serde(default)]
    pub retry: Option<Retry>,
    /// Experimental channel: how clients keep their backend.
    #[serde(default)]
    pub session_persistence: Option<Value>,
}

/// A conjunction of conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpRouteMatch {
    /// On the path; every path when absent.
    #[serde(default)]
    pub path: Option<HttpPathMatch>,
    /// On headers.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub headers: Vec<HttpValueMatch>,
    /// On query parameters.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub query_params: Vec<HttpValueMatch>,
    /// On the method.
    #[serde(default)]
    pub method: Option<HttpMethod>,
}

/// A condition on the path.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpPathMatch {
    /// How it is compared.
    #[serde(default, rename = "type")]
    pub type_: PathMatchType,
    /// What it is compared with.
    #[serde(default = "root_path")]
    #[schemars(length(max = 1024))]
    pub value: String,
}

fn root_path() -> String {
    "/".to_owned()
}

/// How a path is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum PathMatchType {
    Exact,
    #[default]
    PathPrefix,
    RegularExpression,
}

/// A condition on a header or query parameter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpValueMatch {
    /// How it is compared.
    #[serde(default, rename = "type")]
    pub type_: ValueMatchType,
    /// The header or parameter.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// What it is compared with.
    #[schemars(length(min = 1, max = 4096))]
    pub value: String,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ValueMatchType {
    #[default]
    Exact,
    RegularExpression,
}

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum HttpMethod {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
}

impl HttpMethod {
    /// The method as requests write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
        }
    }
}

/// A share of a rule's traffic.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpBackendRef {
    /// The core group when absent.
    #[serde(default)]
    pub group: Option<String>,
    /// `Service` when absent.
    #[serde(default)]
    pub kind: Option<String>,
    /// The backend's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The route's own when absent.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The Service's port.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Its share of the sum of weights; 1 when absent.
    #[serde(default)]
    #[schemars(range(max = 1_000_000))]
    pub weight: Option<u32>,
    /// What is done to requests that go here.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub filters: Vec<HttpRouteFilter>,
}

/// Names a backend.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "a Kubernetes reference; the fields say it")]
pub struct BackendObjectReference {
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub kind: Option<String>,
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    #[serde(default)]
    pub namespace: Option<String>,
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}

/// How long a request may take.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Timeouts {
    /// As a whole.
    #[serde(default)]
    pub request: Option<String>,
    /// Each try.
    #[serde(default)]
    pub backend_request: Option<String>,
}

/// When a request is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Retry {
    /// The answers that count as failures.
    #[serde(default)]
    pub codes: Vec<u16>,
    /// Further tries; 1 when absent.
    #[serde(default)]
    pub attempts: Option<u32>,
    /// The pause between tries.
    #[serde(default)]
    pub backoff: Option<String>,
}

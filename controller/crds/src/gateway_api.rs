//! Gateway API v1.7, standard channel: `gateway.networking.k8s.io`.

mod filter;
mod gateway;
mod gateway_class;
mod http_route;
mod reference_grant;
mod selector;

/// The API group.
pub const GROUP: &str = "gateway.networking.k8s.io";

pub use filter::{
    CorsFilter, FilterType, Fraction, HeaderModifier, HttpHeader, HttpRouteFilter, LocalObjectReference,
    PathModifier, PathModifierType, RequestMirror, RequestRedirect, UrlRewrite,
};
pub use gateway::{
    AllowedListeners, AllowedRoutes, CertificateReference, FromNamespaces, Gateway, GatewayAddress,
    GatewaySpec, Infrastructure, Listener, ListenerTls, ParametersReference, RouteGroupKind, RouteNamespaces,
};
pub use gateway_class::{ClassParametersReference, GatewayClass, GatewayClassSpec};
pub use http_route::{
    BackendObjectReference, HttpBackendRef, HttpMethod, HttpPathMatch, HttpRoute, HttpRouteMatch,
    HttpRouteRule, HttpRouteSpec, HttpValueMatch, ParentReference, PathMatchType, Retry, Timeouts,
    ValueMatchType,
};
pub use reference_grant::{ReferenceGrant, ReferenceGrantFrom, ReferenceGrantSpec, ReferenceGrantTo};
pub use selector::{LabelSelector, LabelSelectorOperator, LabelSelectorRequirement};

//! kgateway's kinds, `gateway.kgateway.dev/v1alpha1`, as of 2.4 with the older spellings.

mod backend;
mod direct_response;
mod http_listener_policy;
mod target;
mod traffic_policy;
mod transformation;

/// The API group.
pub const GROUP: &str = "gateway.kgateway.dev";

pub use backend::{Backend, BackendSpec, StaticBackend, StaticHost};
pub use direct_response::{DirectResponse, DirectResponseSpec};
pub use http_listener_policy::{AccessLog, FileSink, HttpListenerPolicy, HttpListenerPolicySpec};
pub use target::{TargetReference, TargetSelector};
pub use traffic_policy::{TrafficPolicy, TrafficPolicySpec};
pub use transformation::{
    BodyParse, BodyTransform, DynamicMetadata, HeaderTemplate, MetadataValue, Transform, Transformation,
};

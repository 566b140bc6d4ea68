//! The kinds of Kubernetes itself that stand behind backends and namespace selectors.

mod endpoint_slice;
mod namespace;
mod service;

pub use endpoint_slice::{
    AddressType, DISCOVERY_GROUP, Endpoint, EndpointConditions, EndpointPort, EndpointSlice,
    SERVICE_NAME_LABEL,
};
pub use namespace::{NAME_LABEL, Namespace};
pub use service::{IntOrString, Protocol, Service, ServicePort, ServiceSpec};

//! The kinds of Kubernetes itself that stand behind backends, namespace selectors and references to secrets.

mod endpoint_slice;
mod namespace;
mod secret;
mod service;

pub use endpoint_slice::{
    AddressType, DISCOVERY_GROUP, Endpoint, EndpointConditions, EndpointPort, EndpointSlice,
    SERVICE_NAME_LABEL,
};
pub use namespace::{NAME_LABEL, Namespace};
pub use secret::{DOCKER_CONFIG_KEY, DOCKER_CONFIG_TYPE, Secret};
pub use service::{IntOrString, Protocol, Service, ServicePort, ServiceSpec};

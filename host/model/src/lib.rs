//! The vocabulary of Weir: plain, comparable values that every other crate speaks.
//!
//! Nothing here does I/O, knows serde, spawns or reads a clock. The written form of these values is
//! `weir-config`'s `Document`; the live form is `weir-proxy`'s `Plan`.

mod chain;
mod cluster;
mod hostname;
mod listener;
mod plugin;
mod revision;
pub mod route;
mod snapshot;

pub use chain::{ChainFilter, FailureMode, FilterIndex, Stage};
pub use cluster::{Cluster, ClusterIndex, Endpoint, Host};
pub use hostname::{Hostname, HostnameError};
pub use listener::Listener;
pub use plugin::{
    Capability, CapabilityError, GrantedBackend, HttpSource, HttpSourceError, Isolation, Limits, OciSource,
    OciSourceError, Plugin, PluginIndex, PluginSource, PullSecret, Recycle, Rollout, Signature,
    SignatureError,
};
pub use revision::Revision;
pub use route::{Backend, BackendTarget, Route, RouteIndex};
pub use snapshot::Snapshot;

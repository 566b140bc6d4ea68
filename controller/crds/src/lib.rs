//! The Kubernetes kinds that Weir reads, as Rust types

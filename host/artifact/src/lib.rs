//! Fetches plugin artifacts from files, web servers and OCI registries, and proves them.
//!
//! Everything that arrives is hostile until its digest and signature say otherwise: bounds hold while bytes stream.
//! Knows neither the engine nor the proxy; hands out bytes and says why there are none.

mod allow;
mod digest;
mod error;
mod fetch;
mod follow;
mod layer;
mod limits;
mod manifest;
mod push;
mod reference;
mod registry;
mod request;
mod signature;
mod store;
mod transport;

pub use self::allow::{AllowList, NotAnEntry};
pub use self::digest::{Digest, NotADigest};
pub use self::error::FetchError;
pub use self::fetch::{Fetcher, Options};
pub use self::follow::{Schedule, State, follow};
pub use self::layer::{Compression, LayerError, check_wasm, decompress, unpack};
pub use self::limits::Limits;
pub use self::manifest::{Descriptor, Image, Index, Layout, Manifest, ManifestError};
pub use self::push::{ComponentNames, PushRequest, Pushed};
pub use self::reference::{NotAReference, Reference, Version};
pub use self::request::{Artifact, ArtifactRequest, Credentials, Source};
pub use self::signature::{NotAKey, PublicKey};

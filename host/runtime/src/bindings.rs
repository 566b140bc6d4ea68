//! Types and exports of `weir:policy`, generated from the WIT package.
//!
//! The import traits that are generated beside them are not used: `capability` links the imports by hand, so
//! that names and values are read in place from the guest's memory instead of being copied to strings first.

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/weir-policy",
        world: "policy",
    });
}

pub(crate) use generated::exports::weir::policy::filter as guest;
pub(crate) use generated::weir::policy::{exchange, log, sink, types};
pub(crate) use generated::{Policy, PolicyPre};

/// The package's name.
pub(crate) const PACKAGE: &str = "weir:policy";

/// The version offered; plugins must name exactly this one.
pub(crate) const VERSION: &str = "0.1.0";

//! Types and exports of `weir:policy`, generated from the WIT package.
//!
//! The import traits that are generated beside them are not used: `capability` links the imports by hand, so
//! that names and values are read in place from the guest's memory instead of being copied to strings first.

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/weir-policy",
        world: "policy",
        exports: { default: async },
    });
}

mod access_log {
    wasmtime::component::bindgen!({
        path: "../../wit/weir-policy",
        world: "access-log",
        exports: { default: async },
        with: {
            "weir:policy/types": super::generated::weir::policy::types,
            "weir:policy/request": super::generated::weir::policy::request,
            "weir:policy/response": super::generated::weir::policy::response,
            "weir:policy/request-trailers": super::generated::weir::policy::request_trailers,
            "weir:policy/response-trailers": super::generated::weir::policy::response_trailers,
            "weir:policy/exchange": super::generated::weir::policy::exchange,
            "weir:policy/log": super::generated::weir::policy::log,
            "weir:policy/clock": super::generated::weir::policy::clock,
            "weir:policy/random": super::generated::weir::policy::random,
            "weir:policy/environment": super::generated::weir::policy::environment,
            "weir:policy/sink": super::generated::weir::policy::sink,
            "weir:policy/upstream": super::generated::weir::policy::upstream,
            "weir:policy/grpc": super::generated::weir::policy::grpc,
            "weir:policy/kv": super::generated::weir::policy::kv,
            "weir:policy/metrics": super::generated::weir::policy::metrics,
        },
    });
}

mod l4 {
    wasmtime::component::bindgen!({
        path: "../../wit/weir-policy",
        world: "l4",
        exports: { default: async },
        with: {
            "weir:policy/types": super::generated::weir::policy::types,
            "weir:policy/log": super::generated::weir::policy::log,
            "weir:policy/clock": super::generated::weir::policy::clock,
            "weir:policy/random": super::generated::weir::policy::random,
            "weir:policy/environment": super::generated::weir::policy::environment,
            "weir:policy/sink": super::generated::weir::policy::sink,
            "weir:policy/upstream": super::generated::weir::policy::upstream,
            "weir:policy/grpc": super::generated::weir::policy::grpc,
            "weir:policy/kv": super::generated::weir::policy::kv,
            "weir:policy/metrics": super::generated::weir::policy::metrics,
        },
    });
}

mod background {
    wasmtime::component::bindgen!({
        path: "../../wit/weir-policy",
        world: "background-task",
        exports: { default: async },
        with: {
            "weir:policy/types": super::generated::weir::policy::types,
            "weir:policy/log": super::generated::weir::policy::log,
            "weir:policy/clock": super::generated::weir::policy::clock,
            "weir:policy/random": super::generated::weir::policy::random,
            "weir:policy/environment": super::generated::weir::policy::environment,
            "weir:policy/sink": super::generated::weir::policy::sink,
            "weir:policy/upstream": super::generated::weir::policy::upstream,
            "weir:policy/grpc": super::generated::weir::policy::grpc,
            "weir:policy/kv": super::generated::weir::policy::kv,
            "weir:policy/metrics": super::generated::weir::policy::metrics,
        },
    });
}

pub(crate) use access_log::{AccessLog, AccessLogPre};
pub(crate) use background::{BackgroundTask, BackgroundTaskPre};
pub(crate) use generated::weir::policy::{exchange, grpc, kv, log, metrics, sink, types, upstream};
pub(crate) use generated::{Policy, PolicyPre};
pub(crate) use l4::{L4, L4Pre};

/// The package's name.
pub(crate) const PACKAGE: &str = "weir:policy";

/// The version offered; plugins must name exactly this one.
pub(crate) const VERSION: &str = "0.1.0";

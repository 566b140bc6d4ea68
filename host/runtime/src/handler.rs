//! Plain `wasi:http` components as handlers of routes.
//!
//! They were written for hosts that start an instance for each request, and nothing in them says whether one may
//! serve a second: so each request gets its own instance and store, whatever the plugin's isolation. Limits, back-off
//! and the engine are those of filters. They reach what they were granted and nothing else of the system.

mod body;
mod guest;
mod outgoing;
mod output;
mod upload;
mod wasi;

use std::sync::Arc;

use wasmtime::component::Linker;
use weir_filter::{Handler, HandlerError, HandlerFuture, HandlerRequest};
use weir_model::{Capability, ChainFilter};

use crate::LoadError;
use crate::capability::{Offer, offer};
use crate::code::block_on;
use crate::component::{Callee, error};
use crate::export::Part;
use crate::plugin::LoadedPlugin;
use crate::state::{Effect, State};

pub(crate) use wasi::Wasi;

/// How the export begins that makes a component a handler.
pub(crate) const EXPORT: &str = "wasi:http/incoming-handler@0.2.";

/// Packages of which handlers may import interfaces.
const PACKAGES: [&str; 7] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Adds to what policies may import what handlers may.
pub(crate) fn linker(policies: &Linker<State>) -> wasmtime::Result<Linker<State>> {
    let mut linker = policies.clone();
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok(linker)
}

/// The name under which an import of a handler is known; `own` is its interface when it is one of `weir:policy`.
///
/// # Errors
/// When handlers are not offered it. Those of `weir:policy` that are about an exchange in a chain are not.
pub(crate) fn import(import: &str, own: Option<&str>, plugin: &str) -> Result<String, LoadError> {
    let offered = match own {
        Some("types") => true,
        Some(interface) => matches!(offer(interface), Some(Offer::Granted(_))),
        None => import.contains("@0.2.") && PACKAGES.iter().any(|it| import.starts_with(it)),
    };
    if !offered {
        return Err(LoadError::HandlerImport {
            plugin: plugin.to_owned(),
            import: import.to_owned(),
        });
    }
    Ok(own.unwrap_or(import).to_owned())
}

impl LoadedPlugin {
    /// True when it answers requests instead of filtering them.
    pub fn is_handler(&self) -> bool {
        self.code.template().handler().is_some()
    }

    /// Makes a handler of the plugin, after an instance of its own has started. Off the request path.
    ///
    /// # Errors
    /// When the plugin is a filter, is given a configuration, a grant or a limit does not fit, or it does not start.
    pub fn handler(&self, filter: &ChainFilter) -> Result<Arc<dyn Handler>, LoadError> {
        let name = || filter.name.clone();
        if !self.is_handler() {
            return Err(LoadError::NotAHandler {
                filter: name(),
                plugin: self.name.clone(),
            });
        }
        if !matches!(filter.config.trim_ascii(), b"" | b"null") {
            return Err(LoadError::Refused {
                filter: name(),
                message: "a wasi:http handler takes none; grant it environment variables instead".to_owned(),
            });
        }
        let used = Arc::new(self.used(filter, Effect::Real)?);
        block_on(guest::try_start(&self.code, &used)).map_err(|fault| LoadError::Start {
            filter: name(),
            reason: fault.reason,
            message: fault.message,
        })?;
        used.show_crash_loop();
        let callee = Callee {
            code: Arc::clone(&self.code),
            used,
            part: Part::Filter,
            keeps: false,
            own_pool: None,
        };
        Ok(Arc::new(ComponentHandler {
            callee: Arc::new(callee),
            calls_out: filter.capabilities.contains(&Capability::Upstream),
        }))
    }
}

/// One configured use of a handler.
#[derive(Debug)]
struct ComponentHandler {
    callee: Arc<Callee>,
    /// It may send requests to its backends.
    calls_out: bool,
}

impl Handler for ComponentHandler {
    fn name(&self) -> &str {
        &self.callee.used.filter
    }

    fn handle(&self, request: HandlerRequest) -> HandlerFuture {
        let started = guest::start(&self.callee, self.calls_out, request);
        let callee = Arc::clone(&self.callee);
        Box::pin(async move {
            match started {
                Ok(starting) => starting.answer().await,
                Err(fault) => Err(HandlerError::Failed(error(&callee.used, fault))),
            }
        })
    }
}

//! What a handler sees of a system: clocks, random bytes, its granted variables, and the log as its output. No files,
//! no sockets, no arguments, no input.

use std::fmt;
use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use weir_filter::Callouts;

use super::outgoing::Outgoing;
use super::output::Output;
use crate::bindings::log::Level;
use crate::state::{State, Use};

/// Resources that a guest may hold at once. With the bound of one set of fields this bounds what the host keeps.
const MAX_RESOURCES: usize = 512;

/// Bytes of one set of fields, with what the host needs to hold them.
const MAX_FIELDS: usize = 64 << 10;

/// The most random bytes at once.
const MAX_RANDOM: u64 = 64 << 10;

/// The WASI state of one store.
pub(crate) struct Wasi {
    system: WasiCtx,
    http: WasiHttpCtx,
    pub(super) table: ResourceTable,
    outgoing: Outgoing,
}

impl Wasi {
    /// For one request of a handler.
    pub(super) fn of(used: &Arc<Use>, calls_out: bool, callouts: Option<Arc<dyn Callouts>>) -> Self {
        let mut system = WasiCtx::builder();
        system
            .stdout(Output::new(used, Level::Info))
            .stderr(Output::new(used, Level::Warn));
        for variable in &used.environment {
            if let Some(value) = &variable.value {
                system.env(&variable.name, value);
            }
        }
        let outgoing = match calls_out {
            true => Outgoing::to(used, callouts),
            false => Outgoing::Denied,
        };
        Self::with(&mut system, outgoing)
    }

    /// What is there when nothing was given: a store of a filter imports none of it.
    fn closed() -> Self {
        Self::with(&mut WasiCtx::builder(), Outgoing::Denied)
    }

    fn with(system: &mut wasmtime_wasi::WasiCtxBuilder, outgoing: Outgoing) -> Self {
        let system = system
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(MAX_RANDOM)
            .build();
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_FIELDS);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Self {
            system,
            http,
            table,
            outgoing,
        }
    }
}

impl State {
    pub(super) fn wasi(&mut self) -> &mut Wasi {
        self.wasi.get_or_insert_with(|| Box::new(Wasi::closed()))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Wasi { system, table, .. } = self.wasi();
        WasiCtxView { ctx: system, table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let Wasi {
            http,
            table,
            outgoing,
            ..
        } = self.wasi();
        WasiHttpCtxView {
            hooks: outgoing,
            table,
            ctx: http,
        }
    }
}

impl fmt::Debug for Wasi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wasi")
    }
}

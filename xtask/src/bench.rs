//! `cargo xtask bench`: what Weir costs, by the clock and by instructions.

mod cachegrind;
mod cpu;
pub(crate) mod filters;
pub(crate) mod instructions;
mod latency;
mod load;
mod memory;
mod report;
mod runtime;
mod section;
mod spin;
mod swaps;
mod target;
mod template;
mod weir;

use crate::command;
use crate::setup;
use crate::workspace::Workspace;

/// What to measure.
#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    /// CPU per request and rate with 0, 1 and 5 filters, beside nginx, HAProxy and Envoy.
    Filters(filters::Options),
    /// User instructions per request with 0, 1 and 5 filters, counted with cachegrind.
    Instructions(instructions::Options),
    /// What the calls between host and guest cost, shape by shape.
    Abi,
    /// What running plugins costs: phases, host functions, bodies, instances, starts, callouts.
    Runtime(runtime::Options),
    /// Replaces a plugin under load a thousand times: failed requests, latency, memory. Fails when a target is missed.
    Swaps(swaps::Options),
    /// How long a guest that never ends delays the other requests of its worker.
    Spin(spin::Options),
}

/// `cargo xtask bench`.
pub(crate) fn run(workspace: &Workspace, bench: &Bench) -> anyhow::Result<()> {
    setup::toolchain(workspace)?;
    match bench {
        Bench::Filters(options) => filters::run(workspace, options),
        Bench::Instructions(options) => instructions::run(workspace, options),
        Bench::Abi => {
            command::run(
                workspace
                    .cargo()
                    .args(["bench", "--package", "weir-runtime", "--bench", "abi"]),
            )
        }
        Bench::Runtime(options) => runtime::run(workspace, options),
        Bench::Swaps(options) => swaps::run(workspace, options),
        Bench::Spin(options) => spin::run(workspace, options),
    }
}

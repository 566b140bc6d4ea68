//! `cargo xtask bench`: what Weir costs, by the clock and by instructions.

mod callgrind;
mod cpu;
pub(crate) mod filters;
pub(crate) mod instructions;
mod load;
mod report;
mod target;
mod template;

use crate::command;
use crate::setup;
use crate::workspace::Workspace;

/// What to measure.
#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    /// CPU per request and rate with 0, 1 and 5 filters, beside nginx, HAProxy and Envoy.
    Filters(filters::Options),
    /// User instructions per request with 0, 1 and 5 filters, counted with callgrind.
    Instructions(instructions::Options),
    /// What the calls between host and guest cost, shape by shape.
    Abi,
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
    }
}

//! `cargo xtask bench runtime`: what running plugins costs, part by part.

use std::process::Stdio;

use super::section;
use crate::workspace::Workspace;
use crate::{command, plugins};

/// What to do with the figures.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write the tables into docs/operate/cost.md, to be committed.
    #[arg(long)]
    bless: bool,
}

/// `cargo xtask bench runtime`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    plugins::build(&workspace.root)?;
    let mut bench = workspace.cargo();
    bench
        .args(["bench", "--package", "weir-runtime", "--bench", "runtime"])
        // Its tables are captured; what it does meanwhile is shown.
        .stderr(Stdio::inherit());
    let tables = command::output(&mut bench)?;
    section::publish(&workspace.root, "runtime", &tables, options.bless)
}

//! The project's one automation command: `cargo xtask --help` lists what it can do.
//!
//! Only the command line is here; each command lives in the file of its name.

mod bench;
mod check;
mod client;
mod command;
mod demo;
mod deny;
mod echo;
mod fuzz;
mod generate;
mod interrupt;
mod plugins;
mod service;
mod setup;
mod stage;
mod test;
mod tidy;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Builds, checks, shows and measures Weir.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what a build of Weir needs and this machine lacks. Every other command does this by itself.
    Setup {
        /// Also install what `bench` needs: nginx, HAProxy, wrk, valgrind, Envoy.
        #[arg(long)]
        bench: bool,
    },
    /// Build Weir, run the quickstart, replay its example requests and stay up.
    Demo(demo::Options),
    /// Run every check: format, generated files, tidy, clippy, tests, examples, instruction counts.
    Test(test::Options),
    /// Check dependency directions, file shapes and what the documentation names.
    Tidy,
    /// Build every plugin and test guest as a component into `target/wasm`.
    Plugins,
    /// Build one plugin folder as a component and print where it is.
    Plugin {
        /// The folder with the plugin's `Cargo.toml`.
        dir: PathBuf,
    },
    /// Write the generated files again.
    Generate {
        /// Only say what differs, and fail if anything does.
        #[arg(long)]
        check: bool,
    },
    /// Check licences, advisories and sources of all dependencies with cargo-deny.
    Deny,
    /// Run fuzz targets, all or one, for a time each.
    Fuzz(fuzz::Options),
    /// Measure Weir.
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    if let Some(compiled) = fuzz::wrap() {
        return compiled;
    }
    match run(Args::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    let workspace = Workspace::load()?;
    match task {
        Task::Setup { bench } => setup::run(&workspace, bench),
        Task::Demo(options) => demo::run(&workspace, &options),
        Task::Test(options) => test::run(&workspace, &options),
        Task::Tidy => tidy::run(&workspace),
        Task::Plugins => {
            setup::toolchain(&workspace)?;
            plugins::build(&workspace.root)
        }
        Task::Plugin { dir } => {
            setup::toolchain(&workspace)?;
            println!("{}", plugins::build_one(&workspace.root, &dir)?.display());
            Ok(())
        }
        Task::Generate { check } => generate::run(&workspace.root, check),
        Task::Deny => deny::run(&workspace),
        Task::Fuzz(options) => fuzz::run(&workspace, &options),
        Task::Bench(bench) => bench::run(&workspace, &bench),
    }
}

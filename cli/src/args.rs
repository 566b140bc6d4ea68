//! The command line, as clap reads it.

mod plugin;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use weir_gateway::admin;

pub(crate) use plugin::{Inspect, Plugin, Pull, Push, Registry, Trust};

/// A gateway in which every policy is a sandboxed WebAssembly plugin.
///
/// Try it: `weir run examples/quickstart` serves the manifests of that folder and follows their changes.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub(crate) struct Args {
    /// How log lines on stderr look
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve traffic by manifests, without a cluster, and follow their changes
    Run(Run),
    /// Check manifests: print every error of every object, and exit 1 when there is one
    Validate(Manifests),
    /// Print the Document that each Gateway of the manifests becomes
    Translate(Manifests),
    /// Print the computed chain of each listener and route, and where each filter comes from
    Chain(Chain),
    /// Print what a running gateway serves, and the conditions of every object
    Status(Status),
    /// Carry plugins to and from registries, and look into them
    #[command(subcommand)]
    Plugin(Plugin),
}

#[derive(Debug, Group)]
pub(crate) struct Manifests {
    /// Manifest files, or folders with *.yaml, *.yml and *.json right inside
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Group)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) manifests: Manifests,
    /// Worker threads per Gateway [default: one per core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,
    /// Where `weir status` and probes reach this gateway; a loopback address
    #[arg(long, default_value_t = admin::DEFAULT_ADDRESS, value_name = "ADDRESS:PORT")]
    pub(crate) admin: SocketAddr,
    /// Where compiled plugins are kept [default: $XDG_CACHE_HOME/weir, else ~/.cache/weir]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) cache_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sources: Sources,
    /// How much address space is reserved for plugins; `small` suits tools such as valgrind
    #[arg(long, value_enum, default_value_t = WasmPool::Default)]
    pub(crate) wasm_pool: WasmPool,
    /// How long requests in flight may take after SIGTERM, in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub(crate) grace: u32,
}

/// Where plugins may be fetched from.
#[derive(Debug, Default, Group)]
pub(crate) struct Sources {
    /// Fetch plugins only from this registry or server, such as ghcr.io/team; may be given several times [default: any]
    #[arg(long, value_name = "HOST[/PATH]")]
    pub(crate) allow_registry: Vec<String>,
    /// Root certificates in PEM, trusted beside the system's when plugins are fetched
    #[arg(long, value_name = "FILE")]
    pub(crate) registry_ca: Option<PathBuf>,
}

/// How much address space is reserved for plugins.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum WasmPool {
    Default,
    Small,
}

#[derive(Debug, Group)]
pub(crate) struct Chain {
    #[command(flatten)]
    pub(crate) manifests: Manifests,
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

#[derive(Debug, Group)]
pub(crate) struct Status {
    /// The admin address that `weir run` was given
    #[arg(long, default_value_t = admin::DEFAULT_ADDRESS, value_name = "ADDRESS:PORT")]
    pub(crate) admin: SocketAddr,
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

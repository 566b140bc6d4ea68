//! The arguments of `weir plugin`.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand};

use super::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Upload a plugin to a registry, and print its reference by digest
    Push(Push),
    /// Download a plugin into a file, and print what the reference or URL resolved to
    Pull(Pull),
    /// Print what a plugin is, what it asks to be granted, and what it costs
    Inspect(Inspect),
}

#[derive(Debug, Group)]
pub(crate) struct Push {
    /// The Wasm to upload
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where to: registry/repository:tag
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: String,
    /// Something for people and registries to read, such as
    /// org.opencontainers.image.source=https://git.example/geo; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = annotation)]
    pub(crate) annotation: Vec<(String, String)>,
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

#[derive(Debug, Group)]
pub(crate) struct Pull {
    /// registry/repository:tag, registry/repository@sha256:…, or an http or https URL
    #[arg(value_name = "REFERENCE|URL")]
    pub(crate) from: String,
    /// The file to write; one that is there is replaced once everything was checked
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) registry: Registry,
    #[command(flatten)]
    pub(crate) trust: Trust,
}

#[derive(Debug, Group)]
pub(crate) struct Inspect {
    /// A file, a reference, or an http or https URL
    #[arg(value_name = "FILE|REFERENCE|URL")]
    pub(crate) from: String,
    /// The configuration to ask for the phases of; by default none, as in a PluginPolicy without `config`
    #[arg(long, value_name = "JSON", default_value = "null", value_parser = json)]
    pub(crate) config: String,
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) registry: Registry,
    #[command(flatten)]
    pub(crate) trust: Trust,
}

/// How registries and web servers are spoken with.
#[derive(Debug, Group)]
pub(crate) struct Registry {
    /// Log in as this user; the password or token is read from standard input. Without it the logins of
    /// $DOCKER_CONFIG/config.json, else ~/.docker/config.json, are used
    #[arg(long, value_name = "USER")]
    pub(crate) username: Option<String>,
    /// Speak with the registry without TLS
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// Trust the root certificates of this PEM file beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// What must be true of what is fetched.
#[derive(Debug, Group)]
pub(crate) struct Trust {
    /// Take only what the owner of this public key (PEM, as in cosign.pub) has signed
    #[arg(long, value_name = "FILE")]
    pub(crate) public_key: Option<PathBuf>,
    /// Take only from this registry, host or path, such as ghcr.io/team; may be repeated
    #[arg(long, value_name = "HOST[/PATH]")]
    pub(crate) allow_registry: Vec<String>,
}

fn annotation(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn json(text: &str) -> Result<String, String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("it is not JSON: {error}"))
}

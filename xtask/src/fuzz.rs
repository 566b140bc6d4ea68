//! Runs the fuzz targets of `fuzz/`, with the pinned toolchain and without cargo-fuzz.

mod instrument;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::workspace::Workspace;
use crate::{command, plugins, setup};

pub(crate) use instrument::wrap;

/// What is run, and for how long.
#[derive(Args)]
pub(crate) struct Options {
    /// One target; all of them, one after the other, when absent.
    name: Option<String>,
    /// How long each runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// `cargo xtask fuzz`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let folder = workspace.root.join("fuzz");
    let mut targets = targets(&folder)?;
    if let Some(name) = &options.name {
        ensure!(
            targets.contains(name),
            "there is no fuzz target {name:?}; there are {}",
            targets.join(", ")
        );
        targets.retain(|it| it == name);
    }
    if targets.iter().any(|it| it == NEEDS_A_GUEST) {
        setup::toolchain(workspace)?;
        plugins::build(&workspace.root)?;
    }
    build(&folder, &targets)?;
    for name in &targets {
        eprintln!("fuzz: {name} for {} s", options.seconds);
        fuzz(&folder, name, options.seconds)?;
    }
    Ok(())
}

/// The names of the targets, one file each.
fn targets(folder: &Path) -> anyhow::Result<Vec<String>> {
    let files = fs::read_dir(folder.join("fuzz_targets")).context("fuzz/fuzz_targets")?;
    let mut names = Vec::new();
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|it| it == "rs") {
            names.extend(path.file_stem().map(|it| it.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

fn build(folder: &Path, targets: &[String]) -> anyhow::Result<()> {
    let mut cargo = command::cargo();
    // Of its own: cargo does not know which crates have coverage.
    cargo.current_dir(folder).args(["build", "--target-dir", TARGET]);
    for name in targets {
        cargo.args(["--bin", name]);
    }
    instrument::request(&mut cargo)?;
    command::run(&mut cargo)
}

/// Runs one target from its seeds. What it finds on the way is kept in `fuzz/target`, what breaks it in
/// `fuzz/artifacts`.
fn fuzz(folder: &Path, name: &str, seconds: u32) -> anyhow::Result<()> {
    let found = folder.join("target/corpus").join(name);
    let broken = folder.join("artifacts").join(name);
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&broken)?;
    let mut target = Command::new(program(folder, name));
    target
        .current_dir(folder)
        .arg(format!("-max_total_time={seconds}"))
        .args([
            "-max_len=16384",
            "-rss_limit_mb=2048",
            "-timeout=30",
            "-print_final_stats=1",
        ])
        .arg(format!("-artifact_prefix={}/", broken.display()))
        .arg(&found);
    let seeds = folder.join("corpus").join(name);
    if seeds.is_dir() {
        target.arg(seeds);
    }
    let status = target.status().with_context(|| format!("fuzz target {name}"))?;
    if !status.success() {
        bail!(
            "{name} found something: the input is in {}; run the same target with that file as its only argument",
            broken.display()
        );
    }
    Ok(())
}

fn program(folder: &Path, name: &str) -> PathBuf {
    folder.join(TARGET).join("debug").join(name)
}

/// Where targets are built, in `fuzz`.
const TARGET: &str = "target/covered";

/// The target that loads a built test guest.
const NEEDS_A_GUEST: &str = "guest_calls";

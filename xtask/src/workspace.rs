//! What `cargo metadata` knows about this repository. Reads no manifest by itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use crate::command;

/// The repository as cargo sees it.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds; `CARGO_TARGET_DIR` is respected.
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    /// The members, without their dependencies.
    pub(crate) packages: Vec<Package>,
}

/// One member.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// Its package name.
    pub(crate) name: String,
    /// Its `Cargo.toml`.
    pub(crate) manifest_path: PathBuf,
    /// What it depends on directly.
    pub(crate) dependencies: Vec<Dependency>,
}

/// One direct dependency of a member.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The package's name, not what it is renamed to.
    pub(crate) name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// Set for members of the workspace.
    pub(crate) path: Option<PathBuf>,
}

impl Workspace {
    /// Asks cargo about the repository this command was built from.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let manifest = root().join("Cargo.toml");
        let json = command::output(
            command::cargo()
                .args(["metadata", "--format-version=1", "--no-deps", "--manifest-path"])
                .arg(manifest),
        )?;
        serde_json::from_str(&json).context("cannot read the output of `cargo metadata`")
    }

    /// A cargo command that runs in the root of the repository.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = command::cargo();
        cargo.current_dir(&self.root);
        cargo
    }

    /// Builds the gateway in release and returns the path of its binary.
    pub(crate) fn build_weir(&self) -> anyhow::Result<PathBuf> {
        command::run(self.cargo().args(["build", "--release", "--package", "weir"]))?;
        let binary = self.target.join("release/weir");
        anyhow::ensure!(
            binary.is_file(),
            "cargo built `weir`, but {} is not there",
            binary.display()
        );
        Ok(binary)
    }

    /// The folder of a package, relative to the root.
    pub(crate) fn folder<'a>(&'a self, package: &'a Package) -> &'a Path {
        let folder = package.manifest_path.parent().unwrap_or(&self.root);
        folder.strip_prefix(&self.root).unwrap_or(folder)
    }
}

/// The repository's root: cargo names this package's folder at run time; a binary started by hand
/// remembers where it was built.
fn root() -> PathBuf {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or_else(|| xtask.clone(), Path::to_path_buf)
}

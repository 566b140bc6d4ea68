//! The crates that are guests, and the Rust target that each is compiled for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Every target that a guest may have. The first is that of policies: without a system, so without imports that
/// nobody granted. The second makes components that expect WASI.
pub(super) const TARGETS: [&str; 2] = ["wasm32-unknown-unknown", "wasm32-wasip2"];

/// A package, as `cargo metadata` tells of it.
#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) manifest_path: PathBuf,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    weir: Option<Weir>,
}

#[derive(Deserialize)]
struct Weir {
    /// `[package.metadata.weir] wasi = true` in the manifest.
    #[serde(default)]
    wasi: bool,
}

impl Package {
    /// The target it is compiled for.
    pub(super) fn target(&self) -> &'static str {
        let weir = self.metadata.as_ref().and_then(|metadata| metadata.weir.as_ref());
        let [plain, wasi] = TARGETS;
        if weir.is_some_and(|weir| weir.wasi) {
            wasi
        } else {
            plain
        }
    }
}

/// The packages of the workspace at `root`, or of that of `manifest`.
///
/// # Errors
/// When cargo cannot read the manifests.
pub(super) fn read(root: &Path, manifest: Option<&Path>) -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Answer {
        packages: Vec<Package>,
    }
    let mut cargo = Command::new(super::cargo());
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
    if let Some(manifest) = manifest {
        cargo.arg("--manifest-path").arg(manifest);
    }
    let output = cargo
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed");
    let answer: Answer = serde_json::from_slice(&output.stdout).context("output of cargo metadata")?;
    Ok(answer.packages)
}

/// Makes sure that Rust can compile for `target`.
///
/// # Errors
/// With the command that installs what is missing.
pub(super) fn ensure_target(root: &Path, target: &str) -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc)
        .args(["--print", "target-libdir", "--target", target])
        .current_dir(root)
        .output()
        .with_context(|| format!("cannot run {}", Path::new(&rustc).display()))?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let has_std = std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
    ensure!(
        output.status.success() && has_std,
        "this Rust toolchain has no std for {target}: run `rustup target add {target}`"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_compiled_for_wasi_only_when_its_manifest_says_so() {
        let check = |metadata: &str, expect: &str| {
            let text = format!(r#"{{"name": "a", "manifest_path": "/a", "metadata": {metadata}}}"#);
            let package: Package = serde_json::from_str(&text).unwrap();
            assert_eq!(package.target(), expect, "{metadata}");
        };
        check("null", "wasm32-unknown-unknown");
        check(r#"{"other": {"wasi": true}}"#, "wasm32-unknown-unknown");
        check(r#"{"weir": {}}"#, "wasm32-unknown-unknown");
        check(r#"{"weir": {"wasi": true}}"#, "wasm32-wasip2");
    }
}

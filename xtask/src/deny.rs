//! Licences, advisories, bans and sources of all dependencies, by cargo-deny and `deny.toml`.

use std::process::Stdio;

use crate::command;
use crate::workspace::Workspace;

/// `cargo xtask deny`.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let mut version = workspace.cargo();
    version
        .args(["deny", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        anyhow::bail!("cargo-deny is not installed; run `cargo install --locked cargo-deny`");
    }
    command::run(workspace.cargo().args(["deny", "--workspace", "check"]))
}

//! The gateway under test: its manifests, its command line, and the running program.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::target::{Bed, render, see_log, start};
use super::template;
use crate::service::{Service, free_port};

/// A running gateway that may use every core.
pub(super) struct Weir {
    pub(super) address: SocketAddr,
    service: Service,
}

impl Weir {
    /// Starts the gateway on the manifests that are written for its port, and waits for it.
    pub(super) fn start(
        bed: &Bed<'_>,
        name: &str,
        binary: &Path,
        workers: u32,
        manifests: impl FnOnce(u16) -> anyhow::Result<PathBuf>,
    ) -> anyhow::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let manifests = manifests(address.port())?;
        let mut command = Command::new(binary);
        // What still spins when the measurement is over is not waited for.
        command
            .args(arguments(workers, &manifests))
            .args(["--grace", "1"]);
        let mut service = start(bed, name, &mut command)?;
        service
            .wait_for(address, Duration::from_secs(60))
            .with_context(|| see_log(bed, name))?;
        Ok(Self { address, service })
    }

    /// The process to account.
    pub(super) const fn pid(&self) -> u32 {
        self.service.pid()
    }
}

/// The command line of the gateway.
pub(super) fn arguments(workers: u32, manifests: &Path) -> Vec<String> {
    let (workers, manifests) = (workers.to_string(), manifests.to_string_lossy());
    ["run", "--workers", &workers, "--admin", "127.0.0.1:0", &manifests]
        .map(str::to_owned)
        .to_vec()
}

/// Writes manifests for a number of header policies; returns their folder.
pub(super) fn manifests(bed: &Bed<'_>, filters: usize, listen: u16) -> anyhow::Result<PathBuf> {
    let plugin = bed.root.join("target/wasm/tests/headers.wasm");
    with_policies(bed, &format!("weir-{filters}"), &plugin, filters, listen)
}

/// The same into this folder of the bed, with policies of any plugin that takes a word as configuration.
pub(super) fn with_policies(
    bed: &Bed<'_>,
    folder: &str,
    plugin: &Path,
    policies: usize,
    listen: u16,
) -> anyhow::Result<PathBuf> {
    let mut parts = Vec::new();
    if policies > 0 {
        ensure!(plugin.is_file(), "{} is not built", plugin.display());
        let plugin = plugin.to_string_lossy();
        parts.push(template::read(
            bed.root,
            "weir/plugin.yaml",
            &[("PLUGIN", &plugin)],
        )?);
    }
    for number in 1..=policies {
        parts.push(template::read(
            bed.root,
            "weir/policy.yaml",
            &[("N", &number.to_string())],
        )?);
    }
    write(bed, folder, listen, &parts)
}

/// Writes the gateway with its one backend, and these objects beside it; returns the folder.
pub(super) fn write(bed: &Bed<'_>, folder: &str, listen: u16, objects: &[String]) -> anyhow::Result<PathBuf> {
    let mut text = render(bed, "weir/gateway.yaml", listen, &[])?;
    for object in objects {
        text.push_str("---\n");
        text.push_str(object);
    }
    let folder = bed.folder.join(folder);
    template::write(&folder, "gateway.yaml", &text)?;
    Ok(folder)
}

//! `weir translate`: the Documents that manifests become.

use std::process::ExitCode;

use anyhow::anyhow;

use crate::args::Manifests;
use crate::{manifest, report};

pub(crate) fn run(options: &Manifests) -> anyhow::Result<ExitCode> {
    let translated =
        manifest::translate(&options.paths).map_err(|problems| anyhow!(problems.join("\nerror: ")))?;
    for document in &translated.output.documents {
        report::print(&format!("---\n{}", document.to_yaml()?));
    }
    if translated.output.documents.is_empty() {
        report::note("no Gateway here belongs to a GatewayClass of weir.dev/gateway-controller");
    }
    Ok(ExitCode::SUCCESS)
}

//! `weir plugin inspect`: what an artifact is, what it asks for and what it costs.

use anyhow::anyhow;
use bytes::Bytes;
use weir_artifact::Source;

use super::report::Report;
use super::{access, busy, configure, source};
use crate::args::{Inspect, Output};
use crate::report;

pub(super) async fn run(options: &Inspect) -> anyhow::Result<()> {
    let source = source::any(&options.from, &options.registry)?;
    let name = match &source {
        Source::File { path } => path.display().to_string(),
        _ => options.from.clone(),
    };
    let artifact = access::fetch(source, &options.registry, &options.trust).await?;
    let inspection = weir_runtime::inspect(&artifact.bytes).map_err(|error| anyhow!("{name}: {error}"))?;
    let (bytes, read, config) = (
        Bytes::clone(&artifact.bytes),
        inspection.clone(),
        options.config.clone(),
    );
    let trial = busy(&format!("compiling {name}"), {
        let name = name.clone();
        move || configure::run(&name, &bytes, &read, &config)
    })
    .await??;
    let report = Report::new(&artifact, inspection, trial);
    report::print(&match options.output {
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&report)?),
        Output::Text => report.to_string(),
    });
    // A program that asks has its answer in the report; a person sees it there.
    report
        .problem()
        .map_or(Ok(()), |problem| Err(anyhow!("{name}: {problem}")))
}

//! `weir plugin push`: a file to a registry. The same file makes the same manifest, wherever and whenever it is pushed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow, bail};
use serde_json::json;
use weir_artifact::{ComponentNames, PushRequest, Reference, Version};
use weir_runtime::{ArtifactKind, Inspection};

use super::{access, login, waiting};
use crate::args::{Output, Push};
use crate::report;

pub(super) async fn run(options: &Push) -> anyhow::Result<()> {
    let file = options.file.display().to_string();
    let reference: Reference = options.reference.parse().map_err(|error| anyhow!("{error}"))?;
    if matches!(reference.version(), Version::Digest(_)) {
        bail!("{reference}: a digest follows from what is pushed; name a tag");
    }
    let wasm = std::fs::read(&options.file).with_context(|| file.clone())?;
    let inspection = weir_runtime::inspect(&wasm).map_err(|error| anyhow!("{file}: {error}"))?;
    if matches!(inspection.kind, ArtifactKind::Component | ArtifactKind::Module) {
        report::note(&format!(
            "{file}: it is a {}; it is pushed all the same",
            inspection.kind
        ));
    }
    let created = created(std::env::var("SOURCE_DATE_EPOCH").ok().as_deref())?;
    let request = PushRequest {
        reference: options.reference.clone(),
        plain_http: options.registry.plain_http,
        credentials: login::find(reference.registry(), options.registry.username.as_deref())?,
        annotations: annotations(options, created.as_deref()),
        created,
        component: Some(names(inspection)),
        wasm: wasm.into(),
    };
    let fetcher = access::fetcher(&options.registry, &[])?;
    let pushed = waiting(&format!("pushing {file} to {reference}"), fetcher.push(&request)).await;
    let pushed = pushed.map_err(|error| access::told(&reference.to_string(), &error, &options.registry))?;
    report::print(&match options.output {
        Output::Text => format!("{}\n", pushed.resolved),
        Output::Json => {
            let written = json!({
                "reference": pushed.resolved,
                "manifestDigest": pushed.manifest.to_string(),
                "digest": pushed.digest.to_string(),
                "size": pushed.size,
            });
            format!("{}\n", serde_json::to_string_pretty(&written)?)
        }
    });
    Ok(())
}

fn annotations(options: &Push, created: Option<&str>) -> BTreeMap<String, String> {
    let own = |name: &str, value: &str| (format!("org.opencontainers.image.{name}"), value.to_owned());
    let title = options.file.file_name().map(|it| it.to_string_lossy());
    let title = title.map(|it| own("title", &it));
    let created = created.map(|it| own("created", it));
    // What is asked for wins.
    title
        .into_iter()
        .chain(created)
        .chain(options.annotation.iter().cloned())
        .collect()
}

fn names(inspection: Inspection) -> ComponentNames {
    ComponentNames {
        imports: inspection.imports,
        exports: inspection.exports,
    }
}

/// When it was made, if whoever builds it says so. The clock does not count: it would change the digest.
fn created(epoch: Option<&str>) -> anyhow::Result<Option<String>> {
    let Some(epoch) = epoch.filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let seconds = epoch.parse::<u32>().ok();
    let seconds = seconds.with_context(|| {
        format!("SOURCE_DATE_EPOCH: {epoch:?} is no time; write seconds since 1970, or unset it")
    })?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into());
    Ok(Some(humantime::format_rfc3339_seconds(time).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_only_when_it_is_given() {
        assert_eq!(created(None).unwrap(), None);
        assert_eq!(created(Some("")).unwrap(), None);
        assert_eq!(
            created(Some("86400")).unwrap().as_deref(),
            Some("1970-01-02T00:00:00Z")
        );
        assert!(
            created(Some("now"))
                .unwrap_err()
                .to_string()
                .contains("SOURCE_DATE_EPOCH")
        );
    }
}

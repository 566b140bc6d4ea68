//! How the command line's options become a fetcher, and how a failure is told.

use std::path::Path;

use anyhow::{Context, anyhow};
use weir_artifact::{AllowList, Artifact, ArtifactRequest, FetchError, Fetcher, Options, PublicKey, Source};

use super::waiting;
use crate::args::{Registry, Trust};

/// A fetcher that keeps nothing.
///
/// # Errors
/// When the CA file or an allow-list entry cannot be used.
pub(super) fn fetcher(registry: &Registry, allowed: &[String]) -> anyhow::Result<Fetcher> {
    let allow = AllowList::new(allowed.iter().cloned()).context("--allow-registry")?;
    let options = Options {
        allow,
        ca_file: registry.ca_file.clone(),
        ..Options::default()
    };
    Fetcher::build(&options).map_err(|error| match &registry.ca_file {
        Some(_) => anyhow!("--ca-file: {error}"),
        None => anyhow!("{error}"),
    })
}

/// Gets an artifact by all the rules given.
///
/// # Errors
/// When it cannot be had, or a rule is broken.
pub(super) async fn fetch(source: Source, registry: &Registry, trust: &Trust) -> anyhow::Result<Artifact> {
    let fetcher = fetcher(registry, &trust.allow_registry)?;
    let public_key = trust.public_key.as_deref().map(public_key).transpose()?;
    let request = ArtifactRequest {
        owner: String::new(),
        source,
        digest: None,
        public_key,
    };
    let what = match &request.source {
        Source::File { .. } => format!("reading {}", request.source),
        _ => format!("fetching {}", request.source),
    };
    let fetched = waiting(&what, fetcher.fetch(&request)).await;
    fetched.map_err(|error| told(&request.source.to_string(), &error, registry))
}

/// A failure with the object it is about and, where the command line has one, the way out.
pub(super) fn told(object: &str, error: &FetchError, registry: &Registry) -> anyhow::Error {
    let advice = match error {
        FetchError::Status { status: 401, .. } if registry.username.is_none() => {
            "; give --username with the password on standard input, or log in with `docker login`"
        }
        FetchError::Connection { url, .. } if url.starts_with("https://") => {
            "; --plain-http is for a registry without TLS, --ca-file for one with a certificate of its own"
        }
        FetchError::NotAllowed { .. } => "; the list is what --allow-registry names",
        _ => "",
    };
    let error = error.to_string();
    if error.contains(object) {
        anyhow!("{error}{advice}")
    } else {
        anyhow!("{object}: {error}{advice}")
    }
}

fn public_key(path: &Path) -> anyhow::Result<PublicKey> {
    let text = std::fs::read_to_string(path).with_context(|| format!("--public-key {}", path.display()))?;
    text.parse()
        .map_err(|error| anyhow!("--public-key {}: {error}", path.display()))
}

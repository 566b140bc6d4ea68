//! One attempt to get an artifact, from the request to proven bytes. Does not try again: see `follow`.

mod file;
mod oci;
mod proof;
mod web;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::store::{Store, Stored};
use crate::transport::Client;
use crate::{AllowList, Artifact, ArtifactRequest, Digest, FetchError, Limits, Source, check_wasm};

/// How a process fetches.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where artifacts may come from.
    pub allow: AllowList,
    /// How much of them is taken.
    pub limits: Limits,
    /// Where they are kept over restarts; nowhere when `None`. Only this process's user may write there.
    pub store: Option<PathBuf>,
    /// Root certificates in PEM form, trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// Fetches artifacts and proves them. Built once for each process.
#[derive(Debug)]
pub struct Fetcher {
    pub(crate) client: Client,
    allow: AllowList,
    pub(crate) limits: Limits,
    store: Option<Arc<Store>>,
}

impl Fetcher {
    /// Reads root certificates and opens the store. Blocks on the disk for that; starts nothing.
    ///
    /// # Errors
    /// When the CA file or the store cannot be used.
    pub fn build(options: &Options) -> Result<Self, FetchError> {
        let limits = options.limits.clone();
        let store = match &options.store {
            Some(directory) => Some(Arc::new(Store::open(directory, limits.wasm_bytes)?)),
            None => None,
        };
        Ok(Self {
            client: Client::build(&limits, options.ca_file.as_deref())?,
            allow: options.allow.clone(),
            limits,
            store,
        })
    }

    /// Gets what the request asks for, downloading only what the store does not have, and keeps it there.
    /// May be dropped at any time. Runs on tokio.
    ///
    /// # Errors
    /// When it cannot be had, or what was had is not what was asked for.
    pub async fn fetch(&self, request: &ArtifactRequest) -> Result<Artifact, FetchError> {
        self.check_allowed(request)?;
        let after = self.limits.total_timeout;
        timeout(after, self.attempt(request))
            .await
            .map_err(|_| FetchError::Timeout {
                what: format!("fetching {}", request.source),
                after,
            })?
    }

    /// What was last fetched for this very request, without asking anyone. `None` when there is nothing, or when the
    /// source is no longer allowed.
    pub async fn stored(&self, request: &ArtifactRequest) -> Option<Artifact> {
        self.check_allowed(request).ok()?;
        self.recall(request).await.map(|stored| stored.artifact)
    }

    /// What a registry's reference means now, as `registry/repository@sha256:…`; for other sources the source itself.
    /// Downloads no layer.
    ///
    /// # Errors
    /// When the registry does not say.
    pub async fn resolve(&self, request: &ArtifactRequest) -> Result<String, FetchError> {
        self.check_allowed(request)?;
        let after = self.limits.total_timeout;
        timeout(after, self.resolve_oci(request))
            .await
            .map_err(|_| FetchError::Timeout {
                what: format!("resolving {}", request.source),
                after,
            })?
    }

    /// Removes from the store what none of these requests asks for.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub async fn retain(&self, requests: Vec<ArtifactRequest>) -> Result<(), FetchError> {
        let Some(store) = self.store.clone() else {
            return Ok(());
        };
        blocking(move || store.retain(&requests)).await?
    }

    async fn attempt(&self, request: &ArtifactRequest) -> Result<Artifact, FetchError> {
        let stored = self.recall(request).await;
        if request.is_pinned()
            && let Some(stored) = stored
        {
            // Nobody can say anything new about it.
            return Ok(stored.artifact);
        }
        let outcome = match &request.source {
            // A file is on disk already: keeping it would only hide that it is gone.
            Source::File { path } => return self.fetch_file(request, path).await,
            Source::Http { url } => self.fetch_web(request, url, stored).await?,
            Source::Oci { .. } => self.fetch_oci(request, stored).await?,
        };
        self.keep(request, outcome).await
    }

    fn check_allowed(&self, request: &ArtifactRequest) -> Result<(), FetchError> {
        let allowed = match &request.source {
            Source::File { .. } => true,
            Source::Http { url } => self.allow.allows_url(&web::parse(url)?),
            Source::Oci { reference, .. } => self.allow.allows_reference(&oci::parse(reference)?),
        };
        allowed.then_some(()).ok_or_else(|| FetchError::NotAllowed {
            source_name: request.source.to_string(),
        })
    }

    async fn recall(&self, request: &ArtifactRequest) -> Option<Stored> {
        let store = self.store.clone()?;
        let request = request.clone();
        blocking(move || store.get(&request)).await.ok().flatten()
    }

    /// Keeps what was fetched. A full disk does not keep a good artifact from being served.
    async fn keep(&self, request: &ArtifactRequest, outcome: Outcome) -> Result<Artifact, FetchError> {
        let fresh = match outcome {
            Outcome::Unchanged(artifact) => return Ok(artifact),
            Outcome::Fresh(fresh) => fresh,
        };
        let artifact = fresh.artifact.clone();
        if let Some(store) = self.store.clone() {
            let source = request.source.to_string();
            let request = request.clone();
            if let Err(error) = blocking(move || store.put(&request, &fresh)).await.flatten() {
                tracing::warn!(%source, %error, "an artifact is served but not kept for a restart");
            }
        }
        Ok(artifact)
    }
}

/// What an attempt brought.
enum Outcome {
    /// The source has what the store has.
    Unchanged(Artifact),
    Fresh(Stored),
}

/// Checks what every source's bytes must be, off the caller's thread because hashing takes its time.
async fn prove(what: String, bytes: Bytes) -> Result<(Bytes, Digest), FetchError> {
    blocking(move || {
        check_wasm(&bytes).map_err(|error| FetchError::malformed(what, error.to_string()))?;
        let digest = Digest::of(&bytes);
        Ok((bytes, digest))
    })
    .await?
}

/// Fails unless the digest is the one asked for, if one was.
fn check_pin(what: &str, pin: Option<Digest>, found: Digest) -> Result<(), FetchError> {
    match pin {
        Some(expected) if expected != found => Err(FetchError::Digest {
            what: what.to_owned(),
            expected,
            found,
        }),
        _ => Ok(()),
    }
}

/// Runs blocking work; fails only when the process is going down.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, FetchError> {
    spawn_blocking(work)
        .await
        .map_err(|error| FetchError::Request(format!("the fetch was ended: {error}")))
}

//! Artifacts of registries: reference to manifest, manifest to layer, layer to Wasm, each link by digest.

use bytes::Bytes;

use super::{Outcome, blocking, check_pin, prove};
use crate::registry::{Access, RawManifest, Session};
use crate::store::Stored;
use crate::{
    Artifact, ArtifactRequest, FetchError, Fetcher, Image, Layout, Manifest, ManifestError, Reference,
    Source, Version, unpack,
};

impl Fetcher {
    pub(super) async fn fetch_oci(
        &self,
        request: &ArtifactRequest,
        stored: Option<Stored>,
    ) -> Result<Outcome, FetchError> {
        let reference = reference(&request.source)?;
        let mut session = self.session(&request.source, &reference)?;
        let resolved = session.resolve().await?;
        if let (Some(digest), Some(stored)) = (resolved, stored)
            && stored.artifact.resolved == reference.at(digest).to_string()
        {
            return Ok(Outcome::Unchanged(stored.artifact));
        }
        let version = resolved.map_or_else(|| reference.version().clone(), Version::Digest);
        let top = session.manifest(&version).await?;
        let artifact = self.pull(request, &reference, &mut session, top).await?;
        Ok(Outcome::Fresh(Stored {
            artifact,
            validator: None,
        }))
    }

    pub(super) async fn resolve_oci(&self, request: &ArtifactRequest) -> Result<String, FetchError> {
        if !matches!(request.source, Source::Oci { .. }) {
            return Ok(request.source.to_string());
        }
        let reference = reference(&request.source)?;
        let mut session = self.session(&request.source, &reference)?;
        let digest = match session.resolve().await? {
            Some(digest) => digest,
            None => session.manifest(reference.version()).await?.digest,
        };
        Ok(reference.at(digest).to_string())
    }

    fn session<'a>(
        &'a self,
        source: &'a Source,
        reference: &'a Reference,
    ) -> Result<Session<'a>, FetchError> {
        let (plain_http, credentials) = match source {
            Source::Oci {
                plain_http,
                credentials,
                ..
            } => (*plain_http, credentials.as_ref()),
            Source::File { .. } | Source::Http { .. } => (false, None),
        };
        Session::new(
            &self.client,
            &self.limits,
            reference,
            plain_http,
            credentials,
            Access::Pull,
        )
    }

    /// From the manifest that the reference names to proven Wasm.
    async fn pull(
        &self,
        request: &ArtifactRequest,
        reference: &Reference,
        session: &mut Session<'_>,
        top: RawManifest,
    ) -> Result<Artifact, FetchError> {
        let resolved = reference.at(top.digest).to_string();
        let image = self.image(&resolved, session, &top).await?;
        let layout = image.layout().map_err(|error| unusable(&resolved, &error))?;
        let pin = request.digest.filter(|pin| *pin != top.digest);
        if let Layout::Raw(descriptor) = &layout {
            // Known before anything is downloaded.
            check_pin(&resolved, pin, descriptor.digest)?;
        }
        if let Some(key) = &request.public_key {
            self.verify_manifest(&resolved, session, key, top.digest).await?;
        }
        let wasm = self.wasm(&resolved, session, layout).await?;
        let (bytes, digest) = prove(resolved.clone(), wasm).await?;
        check_pin(&format!("the Wasm of {resolved}"), pin, digest)?;
        Ok(Artifact {
            bytes,
            digest,
            resolved,
        })
    }

    /// The image itself, or the one of an index.
    async fn image(
        &self,
        resolved: &str,
        session: &mut Session<'_>,
        top: &RawManifest,
    ) -> Result<Image, FetchError> {
        let index = match read(resolved, top)? {
            Manifest::Image(image) => return Ok(image),
            Manifest::Index(index) => index,
        };
        let chosen = index.choose().map_err(|error| unusable(resolved, &error))?;
        let child = session.manifest(&Version::Digest(chosen.digest)).await?;
        match read(resolved, &child)? {
            Manifest::Image(image) => Ok(image),
            Manifest::Index(_) => Err(FetchError::malformed(
                resolved,
                "it is an index of indexes; name a manifest by digest",
            )),
        }
    }

    async fn wasm(
        &self,
        resolved: &str,
        session: &mut Session<'_>,
        layout: Layout,
    ) -> Result<Bytes, FetchError> {
        match layout {
            Layout::Raw(descriptor) => {
                let limit = self.limits.wasm_bytes.min(self.limits.download_bytes);
                session.blob(&descriptor, limit).await
            }
            Layout::Archive(descriptor, compression) => {
                let layer = session.blob(&descriptor, self.limits.download_bytes).await?;
                let limits = self.limits.clone();
                let unpacked = blocking(move || unpack(&layer, compression, &limits)).await?;
                unpacked
                    .map(Bytes::from)
                    .map_err(|error| FetchError::malformed(resolved, error.to_string()))
            }
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Reference, FetchError> {
    text.parse()
        .map_err(|error: crate::NotAReference| FetchError::Request(error.to_string()))
}

pub(super) fn read(resolved: &str, raw: &RawManifest) -> Result<Manifest, FetchError> {
    Manifest::parse(&raw.bytes, raw.content_type.as_deref()).map_err(|error| unusable(resolved, &error))
}

fn reference(source: &Source) -> Result<Reference, FetchError> {
    match source {
        Source::Oci { reference, .. } => parse(reference),
        Source::File { .. } | Source::Http { .. } => {
            Err(FetchError::Request(format!("{source} is not an OCI reference")))
        }
    }
}

fn unusable(resolved: &str, error: &ManifestError) -> FetchError {
    FetchError::malformed(resolved, error.to_string())
}

//! Finds a manifest's signatures in its registry, in both of cosign's forms, until the key accepts one.

use super::oci;
use crate::manifest::Descriptor;
use crate::registry::Session;
use crate::signature::{BUNDLE_TYPE, SIMPLE_TYPE, Unproven, verify_manifest_bundle, verify_payload};
use crate::{Digest, FetchError, Fetcher, Manifest, PublicKey, Version};

/// Signatures that are tried, of each form. Anyone who may push can add some.
const MAX_SIGNATURES: usize = 32;

/// The search so far.
#[derive(Default)]
struct Search {
    tried: usize,
    last: Option<Unproven>,
}

impl Search {
    /// Notes an attempt; true when it proved the manifest.
    fn note(&mut self, outcome: Result<(), Unproven>) -> bool {
        self.tried += 1;
        self.last = outcome.err();
        self.last.is_none()
    }

    fn into_problem(self) -> String {
        match self.last {
            None => "it has no signature; sign it with `cosign sign --key`".into(),
            Some(problem) if self.tried == 1 => problem.to_string(),
            Some(problem) => format!(
                "none of its {} signatures is good; the last: {problem}",
                self.tried
            ),
        }
    }
}

impl Fetcher {
    /// Succeeds when the key signed this manifest.
    pub(super) async fn verify_manifest(
        &self,
        resolved: &str,
        session: &mut Session<'_>,
        key: &PublicKey,
        manifest: Digest,
    ) -> Result<(), FetchError> {
        let mut search = Search::default();
        if self.search_tag(session, key, manifest, &mut search).await?
            || self.search_referrers(session, key, manifest, &mut search).await?
        {
            return Ok(());
        }
        Err(FetchError::Signature {
            what: resolved.to_owned(),
            problem: search.into_problem(),
        })
    }

    /// Payloads in the manifest that the tag `sha256-….sig` names.
    async fn search_tag(
        &self,
        session: &mut Session<'_>,
        key: &PublicKey,
        manifest: Digest,
        search: &mut Search,
    ) -> Result<bool, FetchError> {
        let tag = Version::Tag(format!("sha256-{}.sig", manifest.hex()));
        let Some(raw) = session.find_manifest(&tag).await? else {
            return Ok(false);
        };
        let Manifest::Image(image) = oci::read("the signature", &raw)? else {
            return Ok(false);
        };
        let payloads = image
            .layers()
            .iter()
            .filter(|layer| layer.media_type == SIMPLE_TYPE)
            .take(MAX_SIGNATURES);
        for layer in payloads {
            let Some(signature) = &layer.signature else {
                continue;
            };
            let payload = session.blob(layer, self.limits.manifest_bytes).await?;
            if search.note(verify_payload(key, &payload, signature, manifest)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Bundles that refer to the manifest, by the registry's list or by the tag that stands in for it.
    async fn search_referrers(
        &self,
        session: &mut Session<'_>,
        key: &PublicKey,
        manifest: Digest,
        search: &mut Search,
    ) -> Result<bool, FetchError> {
        let raw = match session.referrers(manifest).await? {
            Some(raw) => Some(raw),
            None => {
                let tag = Version::Tag(format!("sha256-{}", manifest.hex()));
                session.find_manifest(&tag).await?
            }
        };
        let Some(raw) = raw else { return Ok(false) };
        let Manifest::Index(index) = oci::read("the list of referrers", &raw)? else {
            return Ok(false);
        };
        let bundles = index
            .manifests()
            .iter()
            .filter(|entry| entry.artifact_type.as_deref() == Some(BUNDLE_TYPE))
            .take(MAX_SIGNATURES);
        for entry in bundles {
            let Some(layer) = self.bundle(session, entry).await? else {
                continue;
            };
            let bundle = session.blob(&layer, self.limits.manifest_bytes).await?;
            if search.note(verify_manifest_bundle(key, &bundle, manifest)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The layer with the bundle, of the manifest that carries it.
    async fn bundle(
        &self,
        session: &mut Session<'_>,
        entry: &Descriptor,
    ) -> Result<Option<Descriptor>, FetchError> {
        let raw = session.manifest(&Version::Digest(entry.digest)).await?;
        let Manifest::Image(image) = oci::read("a signature bundle", &raw)? else {
            return Ok(None);
        };
        let layer = image
            .layers()
            .iter()
            .find(|layer| layer.media_type == BUNDLE_TYPE);
        Ok(layer.cloned())
    }
}

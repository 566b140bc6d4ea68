//! Files of web servers. What did not change since last time is not downloaded again.

use http::StatusCode;
use http::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use url::Url;

use super::{Outcome, check_pin, prove};
use crate::signature::verify_blob;
use crate::store::Stored;
use crate::transport::{Call, shown};
use crate::{Artifact, ArtifactRequest, FetchError, Fetcher};

impl Fetcher {
    pub(super) async fn fetch_web(
        &self,
        request: &ArtifactRequest,
        url: &str,
        stored: Option<Stored>,
    ) -> Result<Outcome, FetchError> {
        let url = parse(url)?;
        let what = shown(&url);
        let mut call = Call::get(url.clone());
        let validator = stored.as_ref().and_then(|stored| stored.validator.as_deref());
        if let Some(validator) = validator.and_then(|text| HeaderValue::from_str(text).ok()) {
            call.headers.insert(IF_NONE_MATCH, validator);
        }
        let reply = self.client.send_following(call).await?;
        if let Some(stored) = stored.filter(|_| reply.status() == StatusCode::NOT_MODIFIED) {
            return Ok(Outcome::Unchanged(stored.artifact));
        }
        let reply = reply.success().await?;
        let validator = reply.header(ETAG.as_str()).map(str::to_owned);
        let limit = self.limits.wasm_bytes.min(self.limits.download_bytes);
        let bytes = reply.collect(&what, limit).await?;
        let (bytes, digest) = prove(what.clone(), bytes).await?;
        check_pin(&what, request.digest, digest)?;
        if let Some(key) = &request.public_key {
            let signature = self.fetch_signature(&url).await?;
            verify_blob(key, &bytes, &signature).map_err(|error| FetchError::Signature {
                what: what.clone(),
                problem: error.to_string(),
            })?;
        }
        Ok(Outcome::Fresh(Stored {
            artifact: Artifact {
                bytes,
                digest,
                resolved: what,
            },
            validator,
        }))
    }

    async fn fetch_signature(&self, url: &Url) -> Result<bytes::Bytes, FetchError> {
        let mut beside = url.clone();
        beside.set_path(&format!("{}.sig", url.path()));
        let reply = self.client.send_following(Call::get(beside)).await?;
        if reply.status() == StatusCode::NOT_FOUND {
            return Err(FetchError::Signature {
                what: shown(url),
                problem: "there is none at its URL with .sig; write it with `cosign sign-blob --key`".into(),
            });
        }
        let reply = reply.success().await?;
        reply.collect("the signature", self.limits.manifest_bytes).await
    }
}

/// A URL that may be fetched.
pub(super) fn parse(text: &str) -> Result<Url, FetchError> {
    let bad = |problem: &str| {
        let text: String = text.chars().take(200).collect();
        FetchError::Request(format!("`{text}` is not a URL to fetch a plugin from: {problem}"))
    };
    let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it must start with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(FetchError::Request(format!(
            "the URL of {} has a user or password in it, which statuses would show; leave them out",
            url.host_str().unwrap_or_default()
        )));
    }
    Ok(url)
}

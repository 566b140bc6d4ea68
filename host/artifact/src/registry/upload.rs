//! The writing half of the distribution API: blobs in one piece, then the manifest that names them.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};

use super::Session;
use crate::manifest::OCI_MANIFEST;
use crate::transport::{Call, target};
use crate::{Digest, FetchError, Version};

impl Session<'_> {
    /// Uploads a blob unless the repository has it.
    pub(crate) async fn push_blob(&mut self, bytes: &Bytes) -> Result<Digest, FetchError> {
        let digest = Digest::of(bytes);
        let url = self.url(&format!("blobs/{digest}"))?;
        let known = self.call(Call::new(Method::HEAD, url)).await?;
        if known.status().is_success() {
            return Ok(digest);
        }
        let start = self.url("blobs/uploads/")?;
        let (call, reply) = self.call_here(Call::new(Method::POST, start)).await?;
        let reply = reply.success().await?;
        let mut place = target(&call.url, &reply)?;
        place.query_pairs_mut().append_pair("digest", &digest.to_string());
        let mut put = Call::new(Method::PUT, place);
        put.body = bytes.clone();
        put.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let (_, reply) = self.call_here(put).await?;
        expect_created(reply.success().await?.status())?;
        Ok(digest)
    }

    /// Uploads the manifest under the reference's tag.
    pub(crate) async fn push_manifest(&mut self, bytes: &Bytes) -> Result<Digest, FetchError> {
        let digest = Digest::of(bytes);
        let name = match self.reference.version() {
            Version::Tag(tag) => tag.clone(),
            Version::Digest(expected) if *expected == digest => digest.to_string(),
            Version::Digest(_) => {
                return Err(FetchError::Request(
                    "a push needs a tag: the digest follows from what is pushed".into(),
                ));
            }
        };
        let mut put = Call::new(Method::PUT, self.url(&format!("manifests/{name}"))?);
        put.body = bytes.clone();
        put.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(OCI_MANIFEST));
        let (_, reply) = self.call_here(put).await?;
        expect_created(reply.success().await?.status())?;
        Ok(digest)
    }
}

fn expect_created(status: StatusCode) -> Result<(), FetchError> {
    if status == StatusCode::CREATED || status == StatusCode::NO_CONTENT {
        return Ok(());
    }
    Err(FetchError::malformed(
        "the registry",
        format!("it answered an upload with {status} and not with 201"),
    ))
}

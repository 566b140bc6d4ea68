//! Files of this machine.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{blocking, check_pin, prove};
use crate::signature::verify_blob;
use crate::store::read_bounded;
use crate::{Artifact, ArtifactRequest, FetchError, Fetcher};

impl Fetcher {
    pub(super) async fn fetch_file(
        &self,
        request: &ArtifactRequest,
        path: &Path,
    ) -> Result<Artifact, FetchError> {
        let what = path.display().to_string();
        let bytes = read(path.to_owned(), self.limits.wasm_bytes).await?;
        let (bytes, digest) = prove(what.clone(), bytes).await?;
        check_pin(&what, request.digest, digest)?;
        if let Some(key) = &request.public_key {
            let mut beside: OsString = path.into();
            beside.push(".sig");
            let signature = read(beside.into(), self.limits.manifest_bytes).await?;
            verify_blob(key, &bytes, &signature).map_err(|error| FetchError::Signature {
                what: what.clone(),
                problem: error.to_string(),
            })?;
        }
        Ok(Artifact {
            bytes,
            digest,
            resolved: what,
        })
    }
}

async fn read(path: PathBuf, limit: u64) -> Result<Bytes, FetchError> {
    blocking(move || {
        let bytes = read_bounded(&path, limit)?;
        bytes
            .map(Bytes::from)
            .ok_or_else(|| FetchError::file(path, io::ErrorKind::NotFound.into()))
    })
    .await?
}

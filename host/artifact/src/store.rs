//! Artifacts on disk, so that a restart serves the last good ones without a network.
//!
//! Content is kept once, by digest; who may have it is a record for each request, so that one owner never gets what
//! only another could pull. Blocks: call it off the workers.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::digest::Hasher;
use crate::{Artifact, ArtifactRequest, Digest, FetchError, Source};

/// Records are a few hundred bytes.
const MAX_RECORD: u64 = 64 << 10;

/// A directory of artifacts.
#[derive(Debug)]
pub(crate) struct Store {
    contents: PathBuf,
    records: PathBuf,
    max_content: u64,
    written: AtomicU64,
}

/// An artifact as it was kept, and what a server said to recognise it by.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) artifact: Artifact,
    pub(crate) validator: Option<String>,
}

/// What is noted about one request's last good answer.
#[derive(Serialize, Deserialize)]
struct Record {
    content: String,
    resolved: String,
    validator: Option<String>,
}

impl Store {
    /// Makes or checks the directory.
    pub(crate) fn open(directory: &Path, max_content: u64) -> Result<Self, FetchError> {
        let store = Self {
            contents: directory.join("content"),
            records: directory.join("record"),
            max_content,
            written: AtomicU64::new(0),
        };
        for path in [&store.contents, &store.records] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(|error| FetchError::file(path, error))?;
        }
        for path in [directory, &store.contents, &store.records] {
            own(path)?;
        }
        Ok(store)
    }

    /// The last good answer to this request. Damage counts as absence, and is logged.
    pub(crate) fn get(&self, request: &ArtifactRequest) -> Option<Stored> {
        let path = self.record(request);
        match self.read(&path) {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(source = %request.source, %error, "a stored artifact cannot be used and is fetched anew");
                None
            }
        }
    }

    /// Keeps an answer.
    pub(crate) fn put(&self, request: &ArtifactRequest, stored: &Stored) -> Result<(), FetchError> {
        let Stored { artifact, validator } = stored;
        let record = Record {
            content: artifact.digest.to_string(),
            resolved: artifact.resolved.clone(),
            validator: validator.clone(),
        };
        let text = serde_json::to_vec(&record)
            .map_err(|error| FetchError::malformed("a record of the artifact store", error.to_string()))?;
        let content = self.content(artifact.digest);
        // The record comes last: content without one is never served.
        if !content.exists() {
            self.replace(&content, &artifact.bytes)?;
        }
        self.replace(&self.record(request), &text)
    }

    /// Removes what none of the requests would be served.
    pub(crate) fn retain(&self, requests: &[ArtifactRequest]) -> Result<(), FetchError> {
        let records: HashSet<PathBuf> = requests.iter().map(|request| self.record(request)).collect();
        remove_others(&self.records, &records)?;
        let mut contents = HashSet::new();
        for path in &records {
            if let Ok(Some(record)) = read_record(path)
                && let Ok(digest) = record.content.parse()
            {
                contents.insert(self.content(digest));
            }
        }
        remove_others(&self.contents, &contents)
    }

    fn read(&self, path: &Path) -> Result<Option<Stored>, FetchError> {
        let Some(record) = read_record(path)? else {
            return Ok(None);
        };
        let expected: Digest = record.content.parse().map_err(|error: crate::NotADigest| {
            FetchError::malformed(path.display().to_string(), error.to_string())
        })?;
        let path = self.content(expected);
        let Some(bytes) = read_bounded(&path, self.max_content)? else {
            return Ok(None);
        };
        let found = Digest::of(&bytes);
        if found != expected {
            // Otherwise the same damage would be found for ever: `put` keeps what is there.
            fs::remove_file(&path).map_err(|error| FetchError::file(&path, error))?;
            return Err(FetchError::Digest {
                what: path.display().to_string(),
                expected,
                found,
            });
        }
        Ok(Some(Stored {
            artifact: Artifact {
                bytes: Bytes::from(bytes),
                digest: found,
                resolved: record.resolved,
            },
            validator: record.validator,
        }))
    }

    /// Writes beside and renames, so that a reader sees the old file or the new one whole.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), FetchError> {
        let turn = self.written.fetch_add(1, Ordering::Relaxed);
        let beside = path.with_file_name(format!(".{}-{turn}", process::id()));
        // A leftover of a process that had this one's id.
        let _absent = fs::remove_file(&beside);
        let written = File::create_new(&beside)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_data()))
            .and_then(|()| fs::rename(&beside, path));
        written.map_err(|error| {
            // Nothing more can be done about a leftover; its name is never read.
            let _removed = fs::remove_file(&beside);
            FetchError::file(path, error)
        })
    }

    fn content(&self, digest: Digest) -> PathBuf {
        self.contents.join(format!("{}.wasm", digest.hex()))
    }

    fn record(&self, request: &ArtifactRequest) -> PathBuf {
        self.records.join(format!("{}.json", identity(request).hex()))
    }
}

/// Names a request by everything that its answer depends on, and its owner; not by credentials, which rotate.
fn identity(request: &ArtifactRequest) -> Digest {
    let ArtifactRequest {
        owner,
        source,
        digest,
        public_key,
    } = request;
    let (kind, place) = match source {
        Source::File { path } => ("file", path.display().to_string()),
        Source::Http { url } => ("http", url.clone()),
        Source::Oci {
            reference,
            plain_http,
            ..
        } => (if *plain_http { "oci+http" } else { "oci" }, reference.clone()),
    };
    let pin = digest.map_or_else(String::new, |digest| digest.to_string());
    let key = public_key
        .as_ref()
        .map_or_else(String::new, |key| key.fingerprint().to_string());
    let mut hasher = Hasher::default();
    for field in [owner, kind, &place, &pin, &key] {
        // With its length, so that no two lists of fields look alike.
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field.as_bytes());
    }
    hasher.finish()
}

fn read_record(path: &Path) -> Result<Option<Record>, FetchError> {
    let Some(text) = read_bounded(path, MAX_RECORD)? else {
        return Ok(None);
    };
    let record = serde_json::from_slice(&text)
        .map_err(|error| FetchError::malformed(path.display().to_string(), error.to_string()))?;
    Ok(Some(record))
}

/// Reads a file; `None` when there is none.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FetchError> {
    let kind = match fs::metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FetchError::file(path, error)),
    };
    // A pipe would hold the thread for ever.
    if !kind.is_file() {
        return Err(FetchError::malformed(
            path.display().to_string(),
            "it is not a regular file",
        ));
    }
    let file = File::open(path).map_err(|error| FetchError::file(path, error))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| FetchError::file(path, error))?;
    if bytes.len() as u64 > limit {
        return Err(FetchError::TooLarge {
            what: path.display().to_string(),
            limit,
        });
    }
    Ok(Some(bytes))
}

fn remove_others(directory: &Path, keep: &HashSet<PathBuf>) -> Result<(), FetchError> {
    let error = |error| FetchError::file(directory, error);
    for entry in fs::read_dir(directory).map_err(error)? {
        let path = entry.map_err(error)?.path();
        // A dot starts what is being written right now.
        let is_temporary = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_temporary && !keep.contains(&path) {
            fs::remove_file(&path).map_err(|error| FetchError::file(&path, error))?;
        }
    }
    Ok(())
}

/// Refuses a directory that is not ours, or that others may write: its records say what was verified.
fn own(path: &Path) -> Result<(), FetchError> {
    let metadata = fs::metadata(path).map_err(|error| FetchError::file(path, error))?;
    let problem = if metadata.uid() != rustix::process::geteuid().as_raw() {
        format!("it belongs to user {}", metadata.uid())
    } else if metadata.mode() & 0o022 != 0 {
        format!(
            "others can write it (mode {:03o}); run chmod go-w",
            metadata.mode() & 0o777
        )
    } else {
        return Ok(());
    };
    Err(FetchError::malformed(
        format!("the artifact store {}", path.display()),
        problem,
    ))
}

#[cfg(test)]
mod tests;

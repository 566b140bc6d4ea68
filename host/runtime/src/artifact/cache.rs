//! Compiled components on disk, by digest, for one engine flavour.
//!
//! A compiled component is native code: it is loaded only from a directory that nobody else can write, and only
//! when its hash is the one that was noted when it was written. The one place with `unsafe`.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::digest;
use crate::RuntimeError;

/// A directory of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    /// Below the configured directory, named by what code of this engine depends on: version, CPU, settings.
    flavour: PathBuf,
    written: AtomicU64,
}

impl Cache {
    /// Makes or checks the directory.
    ///
    /// # Errors
    /// When it cannot be made, or when others could have written native code into it.
    pub(crate) fn open(directory: &Path, engine: &Engine) -> Result<Self, RuntimeError> {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let flavour = directory.join(format!("{:016x}", hasher.finish()));
        let error = |source| RuntimeError::Cache {
            path: directory.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&flavour)
            .map_err(error)?;
        for path in [directory, &flavour] {
            own(path)?;
        }
        Ok(Self {
            flavour,
            written: AtomicU64::new(0),
        })
    }

    /// What was compiled from the bytes of this digest; `None` when there is nothing or it is damaged.
    pub(crate) fn get(&self, engine: &Engine, key: &str) -> Option<Component> {
        let path = self.path(key, "cwasm");
        let noted = fs::read_to_string(self.path(key, "sha256")).ok()?;
        let found = digest(&fs::read(&path).ok()?);
        if noted.trim() != found {
            tracing::warn!(path = %path.display(), "a damaged entry of the plugin cache is compiled anew");
            return None;
        }
        match load(engine, &path) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(path = %path.display(), error = %format_args!("{error:#}"), "an entry of the plugin cache is compiled anew");
                None
            }
        }
    }

    /// Keeps what was compiled.
    pub(crate) fn put(&self, key: &str, compiled: &[u8]) -> io::Result<()> {
        // The note comes last: without it an entry does not count.
        self.replace(&self.path(key, "cwasm"), compiled)?;
        self.replace(&self.path(key, "sha256"), digest(compiled).as_bytes())
    }

    /// Writes beside and renames, so that a reader sees the old file or the new one whole.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let turn = self.written.fetch_add(1, Ordering::Relaxed);
        let beside = self.flavour.join(format!(".{}-{turn}", process::id()));
        let written = File::create_new(&beside)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_data()))
            .and_then(|()| fs::rename(&beside, path));
        if written.is_err() {
            // Nothing more can be done about a leftover; its name is never read.
            let _removed = fs::remove_file(&beside);
        }
        written
    }

    fn path(&self, key: &str, extension: &str) -> PathBuf {
        self.flavour
            .join(format!("{}.{extension}", key.trim_start_matches("sha256:")))
    }
}

/// Refuses a directory that is not ours, or that others may write.
fn own(path: &Path) -> Result<(), RuntimeError> {
    let metadata = fs::metadata(path).map_err(|source| RuntimeError::Cache {
        path: path.to_owned(),
        source,
    })?;
    let problem = if metadata.uid() != rustix::process::geteuid().as_raw() {
        format!("belongs to user {}", metadata.uid())
    } else if metadata.mode() & 0o022 != 0 {
        format!("can be written by others (mode {:03o})", metadata.mode() & 0o777)
    } else {
        return Ok(());
    };
    Err(RuntimeError::UnsafeCache {
        path: path.to_owned(),
        problem,
    })
}

#[expect(unsafe_code, reason = "wasmtime cannot check native code; see SAFETY")]
fn load(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file must be the unmodified output of `Component::serialize` of a compatible engine. Only this
    // process's user can write the directory (`own`), only `put` writes entries there, `get` has just compared the
    // content with the hash that `put` noted, and wasmtime itself refuses code of another version or other settings.
    // Entries are replaced by renaming and never written in place, so a mapped file does not change.
    unsafe { Component::deserialize_file(engine, path) }
}

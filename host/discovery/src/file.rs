//! Reading manifest files and folders.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// The largest manifest file read.
pub const MAX_FILE_BYTES: u64 = 8 << 20;

/// The text of one manifest file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// As given, or below the folder that was given.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

/// Why a path gave no manifests.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path asked for.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// A folder has nothing that could be a manifest.
    #[error("{}: no manifests here; a folder is searched for *.yaml, *.yml and *.json, not below it", .0.display())]
    NoManifests(PathBuf),
    /// Larger than any manifest should be.
    #[error("{}: larger than {} MiB; is this a manifest?", .0.display(), MAX_FILE_BYTES >> 20)]
    TooLarge(PathBuf),
    /// Not text.
    #[error("{}: not UTF-8 text", .0.display())]
    NotText(PathBuf),
}

/// Reads files, and the manifests right inside folders, in order of their names.
///
/// # Errors
/// Every path that could not be read.
pub fn read(paths: &[PathBuf]) -> Result<Vec<SourceFile>, Vec<ReadError>> {
    let mut files = Vec::new();
    let mut errors = Vec::new();
    for path in paths {
        match expand(path) {
            Ok(found) => {
                for path in found {
                    match read_file(path) {
                        Ok(file) => files.push(file),
                        Err(error) => errors.push(error),
                    }
                }
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(files) } else { Err(errors) }
}

/// True for the names that a folder is searched for.
pub(crate) fn is_manifest(path: &Path) -> bool {
    path.extension()
        .and_then(|it| it.to_str())
        .is_some_and(|it| matches!(it, "yaml" | "yml" | "json"))
}

fn expand(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let failed = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(failed)?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        // Editors leave `.name.swp` and the like beside the file they write.
        let hidden = path
            .file_name()
            .and_then(|it| it.to_str())
            .is_none_or(|name| name.starts_with('.'));
        // A link that leads nowhere is a manifest that is missing, and whoever reads it says so.
        if !hidden && is_manifest(&path) && !path.is_dir() {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(ReadError::NoManifests(path.to_owned()));
    }
    found.sort();
    Ok(found)
}

fn read_file(path: PathBuf) -> Result<SourceFile, ReadError> {
    let failed = |source| ReadError::Io {
        path: path.clone(),
        source,
    };
    let mut bytes = Vec::new();
    // Opening a pipe would wait for its writer.
    if is_pipe(&path) {
        return Err(failed(io::Error::other("not a regular file")));
    }
    // Read at most one byte too many: the size that metadata tells may be a lie (a growing file).
    File::open(&path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ReadError::TooLarge(path));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile { path, text }),
        Err(_) => Err(ReadError::NotText(path)),
    }
}

fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| it.file_type().is_fifo())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_manifests_in_order_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yml", "c.json", "notes.md", ".hidden.yaml", "x.wasm"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        fs::create_dir(dir.path().join("sub.yaml")).unwrap();
        let files = read(&[dir.path().to_owned()]).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.text.as_str()).collect();
        assert_eq!(names, ["a.yml", "b.yaml", "c.json"]);
    }

    #[test]
    fn every_unreadable_path_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let binary = dir.path().join("binary.yaml");
        fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
        let huge = dir.path().join("huge.yaml");
        File::create(&huge).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        let empty = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.yaml");
        let linked = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/nowhere/at.all", linked.path().join("a.yaml")).unwrap();
        let errors = read(&[
            binary,
            huge,
            empty.path().to_owned(),
            missing,
            linked.path().to_owned(),
        ])
        .unwrap_err();
        assert!(matches!(
            errors.as_slice(),
            [
                ReadError::NotText(_),
                ReadError::TooLarge(_),
                ReadError::NoManifests(_),
                ReadError::Io { .. },
                ReadError::Io { .. }
            ]
        ));
    }
}

//! Word of changed files: manifests and plugins.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{Event, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::file::is_manifest;

/// How long changes are gathered: a tool that writes several files means them together.
const SETTLE: Duration = Duration::from_millis(60);

/// Watches folders for changed manifests and plugins.
///
/// Folders are watched, not files: editors and `ConfigMap` mounts replace files, and a replaced file takes
/// its watch with it.
#[derive(Debug)]
pub struct Watch {
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
    changed: mpsc::Receiver<()>,
}

/// A folder that cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch {} for changes: {source}", path.display())]
pub struct WatchError {
    path: PathBuf,
    source: notify::Error,
}

impl Watch {
    /// Starts with nothing watched.
    ///
    /// # Errors
    /// When the system has no watches left.
    pub fn new() -> Result<Self, WatchError> {
        // One waiting note is enough: it says "look again", not what has changed.
        let (note, changed) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.as_ref().map_or(true, is_relevant) {
                // A full channel already says it.
                let _ = note.try_send(());
            }
        })
        .map_err(|source| WatchError {
            path: PathBuf::new(),
            source,
        })?;
        Ok(Self {
            watcher,
            folders: BTreeSet::new(),
            changed,
        })
    }

    /// Watches exactly what these files and folders need, from now on.
    ///
    /// # Errors
    /// When a folder cannot be watched; the others are.
    pub fn follow<'a>(&mut self, paths: impl IntoIterator<Item = &'a Path>) -> Result<(), WatchError> {
        let wanted: BTreeSet<PathBuf> = paths.into_iter().map(folder_of).collect();
        for gone in self.folders.difference(&wanted) {
            // It may be gone from the disk as well.
            let _ = self.watcher.unwatch(gone);
        }
        let mut result = Ok(());
        self.folders.retain(|folder| wanted.contains(folder));
        for folder in wanted {
            if self.folders.contains(&folder) {
                continue;
            }
            match self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.folders.insert(folder)),
                Err(source) => result = Err(WatchError { path: folder, source }),
            }
        }
        result
    }

    /// Waits for a change, and until changes have settled. Cancel-safe.
    pub async fn changed(&mut self) {
        if self.changed.recv().await.is_none() {
            // The watcher lives in `self`, so its side of the channel does too.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(SETTLE).await;
        while self.changed.try_recv().is_ok() {}
    }
}

fn is_relevant(event: &Event) -> bool {
    let is_plugin = |path: &PathBuf| path.extension().is_some_and(|it| it == "wasm");
    !matches!(event.kind, EventKind::Access(_))
        && (event.paths.is_empty()
            || event
                .paths
                .iter()
                .any(|path| is_manifest(path) || is_plugin(path) || is_mount(path)))
}

/// A `ConfigMap` mount changes by one renamed link, `..data`.
fn is_mount(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "..data")
}

fn folder_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_replaced_file_is_noticed_and_an_unrelated_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::new().unwrap();
        watch.follow([file.as_path()]).unwrap();

        let staged = dir.path().join("a.yaml.tmp");
        fs::write(&staged, "2").unwrap();
        fs::rename(&staged, &file).unwrap();
        tokio::time::timeout(Duration::from_secs(5), watch.changed())
            .await
            .expect("the change was not noticed");

        fs::write(dir.path().join("access.log"), "line").unwrap();
        let quiet = tokio::time::timeout(Duration::from_millis(200), watch.changed()).await;
        assert!(
            quiet.is_err(),
            "a log file beside the manifests must not cause a reload"
        );
    }
}

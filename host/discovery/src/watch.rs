//! Word of changed files: manifests and plugins.
//!
//! Files are looked at, not watched: a watch of the kernel is tied to one inode, and editors, `git checkout`,
//! `ConfigMap` mounts and build scripts replace files, links and whole folders.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::file::is_manifest;

/// How often files are looked at; a change is noticed after at most two looks.
const INTERVAL: Duration = Duration::from_millis(200);

/// Looks after which a change is told although something changes each time.
const PATIENCE: u32 = 10;

/// Looks at a set of files and folders, and tells when something about them is different.
#[derive(Debug, Default)]
pub struct Watch {
    paths: Vec<PathBuf>,
    seen: Look,
}

/// What the files were like, by path; links are followed.
type Look = BTreeMap<PathBuf, Option<Mark>>;

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Watch {
    /// Starts with nothing to look at.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at exactly these files and folders from now on. Changes that happen after the first call are
    /// told, so make it before the files are read. A later call forgets nothing that was seen: another set of
    /// files is itself a change, told once, which covers what happened to the new ones before they were followed.
    pub async fn follow(&mut self, paths: Vec<PathBuf>) {
        if self.paths.is_empty() {
            self.seen = look(paths.clone()).await;
        }
        self.paths = paths;
    }

    /// Waits for a change, and until two looks in a row agree: a tool that writes several files, or one file
    /// slowly, is let finish, but not for ever. Dropping the future loses nothing.
    pub async fn changed(&mut self) {
        let mut last = self.seen.clone();
        let mut unsettled = 0;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = look(self.paths.clone()).await;
            if now != self.seen {
                unsettled += 1;
                if now == last || unsettled >= PATIENCE {
                    self.seen = now;
                    return;
                }
            }
            last = now;
        }
    }
}

/// Looks at every path, off the calling thread: a file system may be slow.
async fn look(paths: Vec<PathBuf>) -> Look {
    let work = tokio::task::spawn_blocking(move || {
        let mut look = Look::new();
        for path in paths {
            if path.is_dir() {
                look.extend(manifests(&path).map(|path| {
                    let mark = mark(&path);
                    (path, mark)
                }));
            } else {
                look.insert(path.clone(), mark(&path));
            }
        }
        look
    });
    work.await.unwrap_or_default()
}

/// What might be a manifest right inside a folder.
fn manifests(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| is_manifest(path))
}

fn mark(path: &Path) -> Option<Mark> {
    fs::metadata(path).ok().map(|it| Mark::of(&it))
}

impl Mark {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows `path`, lets `act` change something, and says whether that was told.
    async fn told(path: PathBuf, act: impl FnOnce()) -> bool {
        let mut watch = Watch::new();
        watch.follow(vec![path]).await;
        act();
        tokio::time::timeout(INTERVAL * 8, watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn a_file_that_never_rests_keeps_no_change_from_being_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.conf");
        fs::write(&file, "").unwrap();
        let mut watch = Watch::new();
        watch.follow(vec![file.clone()]).await;
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let writer = std::thread::spawn(move || {
            for number in 0.. {
                fs::write(&file, format!("{number}")).unwrap();
                if stopped.recv_timeout(INTERVAL / 10) != Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        let told = tokio::time::timeout(INTERVAL * PATIENCE * 2, watch.changed()).await;
        drop(stop);
        writer.join().unwrap();
        assert!(told.is_ok());
    }

    #[tokio::test]
    async fn files_that_are_written_replaced_or_removed_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.conf");
        fs::write(&file, "1").unwrap();
        assert!(
            told(file.clone(), || fs::write(&file, "2").unwrap()).await,
            "written in place"
        );
        let staged = dir.path().join("staged");
        fs::write(&staged, "3").unwrap();
        assert!(
            told(file.clone(), || fs::rename(&staged, &file).unwrap()).await,
            "replaced"
        );
        assert!(
            told(file.clone(), || fs::remove_file(&file).unwrap()).await,
            "removed"
        );
        assert!(
            told(file.clone(), || fs::write(&file, "4").unwrap()).await,
            "back again"
        );
    }

    #[tokio::test]
    async fn a_replaced_folder_and_the_target_of_a_link_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let [folder, new] = ["folder", "new"].map(|name| dir.path().join(name));
        for (folder, text) in [(&folder, "old"), (&new, "new")] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("a.yaml"), text).unwrap();
        }
        let swap = || {
            fs::remove_dir_all(&folder).unwrap();
            fs::rename(&new, &folder).unwrap();
        };
        assert!(told(folder.clone(), swap).await, "the folder was replaced");
        let target = dir.path().join("built.wasm");
        fs::write(&target, "1").unwrap();
        let link = dir.path().join("plugin.wasm");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(
            told(link, || fs::write(&target, "22").unwrap()).await,
            "the target of the link"
        );
    }

    #[tokio::test]
    async fn a_change_is_not_lost_when_more_files_are_followed_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let [manifest, plugin] = ["a.yaml", "p.wasm"].map(|name| dir.path().join(name));
        fs::write(&manifest, "1").unwrap();
        fs::write(&plugin, "1").unwrap();
        let mut watch = Watch::new();
        watch.follow(vec![manifest.clone()]).await;
        fs::write(&manifest, "22").unwrap();
        watch.follow(vec![manifest, plugin]).await;
        assert!(tokio::time::timeout(INTERVAL * 8, watch.changed()).await.is_ok());
    }

    #[tokio::test]
    async fn a_log_file_beside_the_manifests_is_not_told() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), "1").unwrap();
        let log = dir.path().join("access.log");
        assert!(!told(dir.path().to_owned(), || fs::write(&log, "line").unwrap()).await);
    }
}

//! The repository's texts, read once. The only file of tidy that touches the disk.

use std::path::Path;

use anyhow::Context;

/// A text file.
#[derive(Debug)]
pub(super) struct File {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// Every file and folder of the repository.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Rust, Markdown and TOML files.
    pub(super) files: Vec<File>,
    /// The paths of all files and folders.
    pub(super) paths: Vec<String>,
}

impl File {
    /// Whether the whole file is test code, by where it lies or what it is called.
    pub(super) fn is_test(&self) -> bool {
        let in_test_folder = self
            .path
            .split('/')
            .any(|part| matches!(part, "tests" | "benches"));
        in_test_folder || self.path.ends_with("/tests.rs")
    }

    /// Numbered lines before the `mod tests` at the end; none for test files.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let end = lines
            .windows(2)
            .position(|pair| matches!(pair, ["#[cfg(test)]", module] if module.starts_with("mod ")))
            .unwrap_or(lines.len());
        let end = if self.is_test() { 0 } else { end };
        lines
            .into_iter()
            .take(end)
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }
}

impl Tree {
    /// Rust files.
    pub(super) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// Whether a path exists; `folder/` and `folder` are the same.
    pub(super) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.paths
            .binary_search_by(|known| known.as_str().cmp(path))
            .is_ok()
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            for (index, _) in path.match_indices('/') {
                tree.paths.push(path[..index].to_owned());
            }
            tree.paths.push((*path).to_owned());
            tree.files.push(File {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            });
        }
        tree.paths.sort();
        tree.paths.dedup();
        tree
    }
}

/// Reads the repository, without what is built, hidden or belongs to git. `.ci` and the like are named in
/// documents, so hidden folders count as paths.
pub(super) fn read(root: &Path) -> anyhow::Result<Tree> {
    let mut tree = Tree::default();
    walk(root, "", &mut tree)?;
    tree.paths.sort();
    Ok(tree)
}

fn walk(folder: &Path, prefix: &str, tree: &mut Tree) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if matches!(name.as_str(), ".git" | "target" | "node_modules") {
            continue;
        }
        tree.paths.push(path.clone());
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &format!("{path}/"), tree)?;
        } else if [".rs", ".md", ".toml"]
            .iter()
            .any(|ending| name.ends_with(ending))
        {
            let text =
                std::fs::read_to_string(entry.path()).with_context(|| format!("cannot read {path}"))?;
            tree.files.push(File { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_ends_where_the_test_module_starts() {
        let file = File {
            path: "host/a/src/b.rs".into(),
            text: "one\n\n#[cfg(test)]\nmod tests {\n}\n".into(),
        };
        assert_eq!(file.code().collect::<Vec<_>>(), [(1, "one"), (2, "")]);
    }

    #[test]
    fn test_files_have_no_code() {
        let check = |path: &str, expect: usize| {
            let file = File {
                path: path.into(),
                text: "one\n".into(),
            };
            assert_eq!(file.code().count(), expect, "{path}");
        };
        check("host/a/src/b.rs", 1);
        check("host/a/src/b/tests.rs", 0);
        check("host/a/tests/c.rs", 0);
        check("host/a/benches/c.rs", 0);
        check("xtask/src/test.rs", 1);
    }

    #[test]
    fn folders_are_paths_with_and_without_a_slash() {
        let tree = Tree::of(&[("host/a/src/b.rs", "")]);
        assert!(tree.has("host/a/") && tree.has("host/a") && tree.has("host/a/src/b.rs"));
        assert!(!tree.has("host/b"));
    }
}

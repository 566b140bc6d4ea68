//! Documentation names what exists: every path in it, and every dependency in `docs/dependencies.md`.

use super::Finding;
use super::tree::{File, Tree};
use crate::workspace::Workspace;

const DEPENDENCIES: &str = "docs/dependencies.md";

/// A backticked word that starts like this is a path of the repository.
const TOP: [&str; 13] = [
    ".cargo",
    ".ci",
    "changes",
    "cli",
    "controller",
    "docs",
    "examples",
    "fuzz",
    "host",
    "plugins",
    "sdk",
    "tests",
    "wit",
];

/// Checks every Markdown file, and that each external dependency has its line.
pub(super) fn check(workspace: &Workspace, tree: &Tree) -> Vec<Finding> {
    let documents = tree.files.iter().filter(|file| file.path.ends_with(".md"));
    let mut findings: Vec<_> = documents.flat_map(|file| check_paths(file, tree)).collect();
    let mut names: Vec<&str> = workspace
        .packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .filter(|dependency| dependency.path.is_none())
        .map(|dependency| dependency.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    findings.extend(check_dependencies(&names, tree));
    findings
}

fn check_paths(file: &File, tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fenced = false;
    for (index, line) in file.text.lines().enumerate() {
        // Code blocks show commands and trees, not references.
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let missing = paths(line).filter(|path| !exists(path, &file.path, tree));
        findings.extend(
            missing
                .chain(links(line).filter(|link| !linked(link, &file.path, tree)))
                .map(|path| Finding {
                    file: file.path.clone(),
                    line: index + 1,
                    rule: "doc-path",
                    problem: format!("names `{path}`, which does not exist"),
                    fix: "name what took its place, or remove the sentence".into(),
                }),
        );
    }
    findings
}

/// Backticked words that look like paths of this repository.
fn paths(line: &str) -> impl Iterator<Item = String> {
    line.split('`').skip(1).step_by(2).filter_map(|word| {
        // `file.rs::item`, `file.rs:12`, `file.rs#anchor`
        let path = word.split([':', '#']).next().unwrap_or_default();
        let first = path.split('/').next().unwrap_or_default();
        let plain = !path.contains(|c: char| c.is_whitespace() || "<>{}*…$@=,()|".contains(c));
        let ours = TOP.contains(&first) || first == "xtask" || path.ends_with(".rs");
        // Components are built, not committed.
        let built = path.ends_with(".wasm");
        (path.contains('/') && plain && ours && !built).then(|| path.to_owned())
    })
}

/// Targets of relative links.
fn links(line: &str) -> impl Iterator<Item = String> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', '#', ' ']).next().unwrap_or_default();
        (!target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
            .then(|| target.to_owned())
    })
}

/// A path counts from the root, from the document, or as `crate/file.rs` for a crate of host or controller.
fn exists(path: &str, document: &str, tree: &Tree) -> bool {
    let in_crate = path
        .split_once('/')
        .map(|(package, rest)| format!("{package}/src/{rest}"));
    let short = in_crate.as_deref().filter(|_| path.ends_with(".rs"));
    tree.has(path)
        || linked(path, document, tree)
        || [Some(path), short].into_iter().flatten().any(|path| {
            tree.has(path)
                || ["host", "controller"]
                    .iter()
                    .any(|top| tree.has(&format!("{top}/{path}")))
        })
}

fn linked(link: &str, document: &str, tree: &Tree) -> bool {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.is_empty() || tree.has(&parts.join("/"))
}

fn check_dependencies(names: &[&str], tree: &Tree) -> Vec<Finding> {
    let text = tree
        .files
        .iter()
        .find(|file| file.path == DEPENDENCIES)
        .map_or("", |file| file.text.as_str());
    names
        .iter()
        .filter(|name| !text.contains(&format!("`{name}`")))
        .map(|name| Finding {
            file: DEPENDENCIES.into(),
            line: 0,
            rule: "dependency-reason",
            problem: format!("does not name the dependency `{name}`"),
            fix: "add a line that says what it is for, or drop the dependency".into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(line: &str, missing: &[&str]) {
        let tree = Tree::of(&[
            ("docs/ARCHITECTURE.md", line),
            ("host/proxy/src/request.rs", ""),
            ("wit/weir-policy/package.wit", ""),
            ("README.md", ""),
        ]);
        let found = check_paths(&tree.files[0], &tree);
        let problems: Vec<_> = found
            .iter()
            .filter_map(|finding| finding.problem.split('`').nth(1))
            .collect();
        assert_eq!(problems, missing, "{line}");
    }

    #[test]
    fn paths_in_backticks_exist() {
        check_line(
            "see `host/proxy/src/request.rs::handle` and `wit/weir-policy/`",
            &[],
        );
        check_line("see `host/proxy/src/gone.rs:12`", &["host/proxy/src/gone.rs"]);
        check_line(
            "the short form `proxy/request.rs` and a wrong one, `proxy/gone.rs`",
            &["proxy/gone.rs"],
        );
        check_line("`fuzz/a` is planned", &["fuzz/a"]);
    }

    #[test]
    fn patterns_commands_and_foreign_words_are_not_paths() {
        check_line(
            "`plugins/*/src/policy.rs`, `examples/<name>/`, `cargo xtask test`, `text/plain`, `a/b`",
            &[],
        );
        check_line("```\nhost/gone.rs `host/gone.rs`\n```", &[]);
    }

    #[test]
    fn relative_links_lead_somewhere() {
        check_line(
            "[readme](../README.md#top) [web](https://example.com) [here](#here)",
            &[],
        );
        check_line("[gone](adr/0009-gone.md)", &["adr/0009-gone.md"]);
    }

    #[test]
    fn every_dependency_has_its_reason() {
        let tree = Tree::of(&[(DEPENDENCIES, "| `http` | types |\n")]);
        let found = check_dependencies(&["http", "hyper"], &tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].problem.contains("`hyper`"));
    }
}

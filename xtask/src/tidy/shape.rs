//! The shape of a Rust file: its size, its first line, its name, and no way to panic in the host.

use super::Finding;
use super::tree::{File, Tree};

/// Where to look for the second concept in a file.
const CROWDED: usize = 400;

/// Lines without tests that no file exceeds without a reason below.
const LIMIT: usize = 600;

/// Files over the limit, each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// Written by a generator.
const GENERATED: &[&str] = &[];

/// Checks every Rust file. Says which are crowded without failing for it.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let files = || tree.rust().filter(|file| !is_generated(file));
    for file in files().filter(|file| (CROWDED..=LIMIT).contains(&file.code().count())) {
        eprintln!(
            "note: {} has {} lines of code; look for a second concept",
            file.path,
            file.code().count()
        );
    }
    files()
        .flat_map(check_file)
        .chain(check_exceptions(tree))
        .collect()
}

fn is_generated(file: &File) -> bool {
    GENERATED.contains(&file.path.as_str()) || file.text.starts_with("// @generated")
}

fn check_file(file: &File) -> Vec<Finding> {
    let finding = |line, rule, problem: String, fix: &str| Finding {
        file: file.path.clone(),
        line,
        rule,
        problem,
        fix: fix.to_owned(),
    };
    let mut findings = Vec::new();
    let lines = file.code().count();
    if lines > LIMIT && !EXCEPTIONS.iter().any(|(path, _)| *path == file.path) {
        findings.push(finding(
            0,
            "size",
            format!("{lines} lines without tests; the limit is {LIMIT}"),
            "split it by concept, or give a reason in xtask/src/tidy/shape.rs",
        ));
    }
    if !file.text.starts_with("//!") {
        findings.push(finding(
            1,
            "file-doc",
            "does not start with `//!`".into(),
            "say in one to three sentences what the file is and what it must not do",
        ));
    }
    if file.path.ends_with("/mod.rs") {
        findings.push(finding(
            0,
            "mod-rs",
            "is a mod.rs".into(),
            "name it after its folder, beside the folder",
        ));
    }
    if file.path.starts_with("host/") || file.path.starts_with("controller/") {
        findings.extend(panics(file));
    }
    findings
}

fn panics(file: &File) -> impl Iterator<Item = Finding> {
    let panicking = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        [".unwrap()", ".expect(\"", ".unwrap_err()"]
            .into_iter()
            .find(|call| code.contains(call))
    };
    file.code().filter_map(move |(line, text)| {
        panicking(text).map(|call| Finding {
            file: file.path.clone(),
            line,
            rule: "no-panic",
            problem: format!("`{}` ends a worker when it fails", call.trim_end_matches('"')),
            fix: "return an error that names the object, or make the state impossible".into(),
        })
    })
}

/// An exception whose reason is gone must go too.
fn check_exceptions(tree: &Tree) -> impl Iterator<Item = Finding> {
    EXCEPTIONS.iter().filter_map(|(path, _)| {
        let needed = tree
            .rust()
            .any(|file| file.path == *path && file.code().count() > LIMIT);
        (!needed).then(|| Finding {
            file: (*path).to_owned(),
            line: 0,
            rule: "size",
            problem: "has an exception that it does not need".into(),
            fix: "remove it from xtask/src/tidy/shape.rs".into(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(path: &str, text: &str, expect: &[(usize, &str)]) {
        let file = File {
            path: path.into(),
            text: text.into(),
        };
        let found: Vec<_> = check_file(&file)
            .into_iter()
            .map(|finding| (finding.line, finding.rule))
            .collect();
        assert_eq!(found, expect, "{path}");
    }

    #[test]
    fn a_file_starts_by_saying_what_it_is() {
        check_text("host/a/src/b.rs", "//! Says it.\n", &[]);
        check_text("host/a/src/b.rs", "use std::fmt;\n", &[(1, "file-doc")]);
    }

    #[test]
    fn tests_do_not_count_for_the_size() {
        let long = format!("//! Long.\n{}", "\n".repeat(LIMIT));
        check_text("cli/src/a.rs", &long, &[(0, "size")]);
        let tested = format!(
            "//! Long.\n#[cfg(test)]\nmod tests {{\n{}}}\n",
            "\n".repeat(LIMIT)
        );
        check_text("cli/src/a.rs", &tested, &[]);
    }

    #[test]
    fn modules_are_named_after_what_they_are() {
        check_text("cli/src/a/mod.rs", "//! A.\n", &[(0, "mod-rs")]);
    }

    #[test]
    fn only_host_and_controller_are_searched_for_panics_and_only_their_code() {
        let text =
            "//! A.\nlet a = b.unwrap();\n// never .unwrap() here\n#[cfg(test)]\nmod tests {\nc.unwrap();\n";
        check_text("host/a/src/a.rs", text, &[(2, "no-panic")]);
        check_text(
            "controller/a/src/a.rs",
            "//! A.\na.expect(\"b\");\n",
            &[(2, "no-panic")],
        );
        check_text("host/a/src/a.rs", "//! A.\nparser.expect(token)?;\n", &[]);
        check_text("xtask/src/a.rs", text, &[]);
    }
}

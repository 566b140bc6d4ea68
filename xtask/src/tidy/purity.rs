//! Code that decides does no I/O, waits for nothing and reads no clock or environment: there most tests live.

use super::Finding;
use super::tree::{File, Tree};

/// Folders whose code is pure.
const PURE: [&str; 3] = ["host/model/src/", "host/config/src/", "controller/translate/src/"];

/// What pure code does not name, and what to do instead.
const FORBIDDEN: [(&str, &str); 8] = [
    ("std::fs", "take the text as an argument; discovery reads files"),
    (
        "std::net::Tcp",
        "describe the connection as a value; the proxy opens it",
    ),
    (
        "std::net::Udp",
        "describe the connection as a value; the proxy opens it",
    ),
    (
        "std::env",
        "take the value as an argument; main reads the environment",
    ),
    ("std::process", "return an error; main decides what it means"),
    ("SystemTime::now", "take the time as an argument"),
    ("Instant::now", "take the time as an argument"),
    ("tokio::", "return a value; the caller waits"),
];

/// Checks the code of every pure file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|file| is_pure(&file.path))
        .flat_map(check_file)
        .collect()
}

fn is_pure(path: &str) -> bool {
    PURE.iter().any(|folder| path.starts_with(folder))
        || (path.starts_with("plugins/") && path.ends_with("/src/policy.rs"))
}

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in file.code() {
        let code = text.split("//").next().unwrap_or_default();
        for (name, fix) in FORBIDDEN {
            if code.contains(name) {
                findings.push(Finding {
                    file: file.path.clone(),
                    line,
                    rule: "purity",
                    problem: format!("pure code names `{name}`"),
                    fix: fix.into(),
                });
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(path: &str, text: &str, expect: &[usize]) {
        let found: Vec<_> = check(&Tree::of(&[(path, text)]))
            .into_iter()
            .map(|finding| finding.line)
            .collect();
        assert_eq!(found, expect, "{path}: {text}");
    }

    #[test]
    fn pure_folders_name_no_file_clock_or_socket() {
        check_text(
            "host/model/src/a.rs",
            "use std::fs;\nlet t = SystemTime::now();\n",
            &[1, 2],
        );
        check_text("host/config/src/a.rs", "tokio::spawn(x);", &[1]);
        check_text("controller/translate/src/a.rs", "std::env::var(\"A\")", &[1]);
        check_text("plugins/jwt/src/policy.rs", "Instant::now()", &[1]);
    }

    #[test]
    fn addresses_comments_tests_and_other_folders_are_free() {
        check_text(
            "host/model/src/a.rs",
            "use std::net::IpAddr;\n// no std::fs here\n",
            &[],
        );
        check_text(
            "host/model/src/a.rs",
            "#[cfg(test)]\nmod tests {\nuse std::fs;\n}\n",
            &[],
        );
        check_text("host/config/tests/golden.rs", "use std::fs;\n", &[]);
        check_text("host/proxy/src/a.rs", "use std::fs;\n", &[]);
    }
}

//! `cargo xtask tidy`: the rules of this repository that no other tool holds.
//!
//! Each rule is a function from texts to findings; only `tree` reads files.

mod dependency;
mod document;
mod example;
mod guest;
mod purity;
mod shape;
mod tree;

use std::fmt;

use crate::workspace::Workspace;

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    /// Relative to the root.
    file: String,
    /// Counted from 1; 0 when it is about the whole file.
    line: usize,
    rule: &'static str,
    problem: String,
    fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": [{}] {}\n    fix: {}", self.rule, self.problem, self.fix)
    }
}

/// `cargo xtask tidy`.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let tree = tree::read(&workspace.root)?;
    let mut findings = dependency::check(workspace);
    findings.extend(shape::check(&tree));
    findings.extend(purity::check(&tree));
    findings.extend(document::check(workspace, &tree));
    findings.extend(guest::check(&tree));
    findings.extend(example::check(&tree));
    findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    for finding in &findings {
        eprintln!("{finding}");
    }
    anyhow::ensure!(findings.is_empty(), "tidy: {} findings", findings.len());
    Ok(())
}

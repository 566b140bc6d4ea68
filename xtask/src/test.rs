//! `cargo xtask test`: every check, each with its time; stops at the first failure.

use std::time::Instant;

use anyhow::Context;
use clap::ValueEnum;

use crate::bench::instructions;
use crate::stage::{Outcome, Stages, seconds};
use crate::workspace::Workspace;
use crate::{command, demo, generate, plugins, setup, tidy};

/// Which checks to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run just these checks; repeat it for several.
    #[arg(long, value_name = "CHECK")]
    only: Vec<Check>,
}

/// One check. The order is the order they run in: what is quick or what others need comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Check {
    Fmt,
    Plugins,
    Generated,
    Tidy,
    Clippy,
    Tests,
    Examples,
    Instructions,
}

/// `cargo xtask test`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let start = Instant::now();
    setup::toolchain(workspace)?;
    setup::components(workspace)?;
    let checks: Vec<Check> = Check::value_variants()
        .iter()
        .copied()
        .filter(|check| wanted(*check, &options.only))
        .collect();
    let mut stages = Stages::new(checks.len());
    let failed = checks.iter().find_map(|check| {
        let result = stages.run(check.name(), check.what(), || check.run(workspace));
        result.err().map(|error| (check, error))
    });
    eprintln!("\nWhere the time went:\n{}\n", stages.table());
    match failed {
        None => {
            eprintln!("All checks that ran passed in {}.", seconds(start.elapsed()));
            Ok(())
        }
        Some((check, error)) => Err(error).with_context(|| {
            let name = check.name();
            format!("check `{name}` failed; run it alone with `cargo xtask test --only {name}`")
        }),
    }
}

fn wanted(check: Check, only: &[Check]) -> bool {
    only.is_empty() || only.contains(&check)
}

impl Check {
    const fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Plugins => "plugins",
            Self::Generated => "generated",
            Self::Tidy => "tidy",
            Self::Clippy => "clippy",
            Self::Tests => "tests",
            Self::Examples => "examples",
            Self::Instructions => "instructions",
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Fmt => "the code is formatted",
            Self::Plugins => "plugins and test guests compile to components",
            Self::Generated => "generated files are up to date",
            Self::Tidy => "dependency directions, file shapes, documentation",
            Self::Clippy => "no lint fires",
            Self::Tests => "unit, golden and integration tests",
            Self::Examples => "the quickstart runs and answers as it says",
            Self::Instructions => "no request got dearer than tests/load/instructions.toml allows",
        }
    }

    fn run(self, workspace: &Workspace) -> anyhow::Result<Outcome> {
        let cargo = |arguments: &[&str]| command::run(workspace.cargo().args(arguments));
        match self {
            Self::Fmt => cargo(&["fmt", "--all", "--", "--check"]).context("run `cargo fmt --all`")?,
            Self::Plugins => plugins::build(&workspace.root)?,
            Self::Generated => generate::run(&workspace.root, true)?,
            Self::Tidy => tidy::run(workspace)?,
            Self::Clippy => cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?,
            Self::Tests => {
                setup::registry(workspace)?;
                cargo(&["test", "--workspace"])?;
            }
            Self::Examples => demo::check(workspace)?,
            Self::Instructions => return instructions::check(workspace),
        }
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_known_to_the_command_line_by_the_name_it_prints() {
        for check in Check::value_variants() {
            assert_eq!(Check::from_str(check.name(), false), Ok(*check));
        }
    }

    #[test]
    fn without_only_every_check_runs() {
        assert!(wanted(Check::Tidy, &[]));
        assert!(wanted(Check::Tidy, &[Check::Fmt, Check::Tidy]));
        assert!(!wanted(Check::Tidy, &[Check::Fmt]));
    }
}

//! Counts the user instructions of a program with valgrind's cachegrind, without its caches.
//!
//! Not callgrind: it follows calls and signals of each thread, and plugins run on stacks of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// A command that runs `binary` under cachegrind and writes its counts to `out` when it ends.
pub(super) fn command(valgrind: &Path, binary: &Path, out: &Path) -> Command {
    let mut command = Command::new(valgrind);
    // Compiled plugins are code that appears while the program runs: valgrind must look for changes.
    command.args([
        "--tool=cachegrind",
        "--cache-sim=no",
        "--smc-check=all-non-file",
        "--quiet",
    ]);
    command
        .arg(format!("--cachegrind-out-file={}", out.display()))
        .arg(binary);
    command
}

/// The instructions that a run wrote down.
pub(super) fn instructions(out: &PathBuf) -> anyhow::Result<u64> {
    let text =
        std::fs::read_to_string(out).with_context(|| format!("cachegrind left no {}", out.display()))?;
    total(&text).with_context(|| format!("{} has no `summary:` line", out.display()))
}

fn total(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("summary:"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Instructions per request from two runs: what both share (start, warm-up, end) cancels out.
pub(super) fn per_request(few: (u64, u64), many: (u64, u64)) -> anyhow::Result<u64> {
    let ((few, few_cost), (many, many_cost)) = (few, many);
    ensure!(many > few, "two runs need different numbers of requests");
    let cost = many_cost
        .checked_sub(few_cost)
        .context("more requests took fewer instructions")?;
    Ok(cost / (many - few))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_the_end_of_the_file() {
        assert_eq!(
            total("cmd: weir\nevents: Ir\nfn=a\n1 5\nsummary: 1234567\n"),
            Some(1_234_567)
        );
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn start_and_end_cancel_out() {
        assert_eq!(
            per_request((1_000, 900_000_000), (4_000, 990_000_000)).unwrap(),
            30_000
        );
        assert!(per_request((5, 1), (5, 2)).is_err());
        assert!(per_request((1, 9), (5, 2)).is_err());
    }
}

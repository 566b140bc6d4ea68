//! Counts the user instructions of a program with valgrind's callgrind.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// A command that runs `binary` under callgrind and writes its counts to `out` when it ends.
pub(super) fn command(valgrind: &Path, binary: &Path, out: &Path) -> Command {
    let mut command = Command::new(valgrind);
    // Compiled plugins are code that appears while the program runs: valgrind must look for changes.
    command.args(["--tool=callgrind", "--smc-check=all-non-file", "--quiet"]);
    command
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(binary);
    command
}

/// The instructions that a run wrote down.
pub(super) fn instructions(out: &PathBuf) -> anyhow::Result<u64> {
    let text =
        std::fs::read_to_string(out).with_context(|| format!("callgrind left no {}", out.display()))?;
    total(&text).with_context(|| format!("{} has no `totals:` line", out.display()))
}

fn total(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("totals:"))?
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
            total("# callgrind format\nevents: Ir\nfn=(1) a\n1 5\n\ntotals: 1234567\n"),
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

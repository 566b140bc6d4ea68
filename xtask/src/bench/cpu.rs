//! The CPU time that a process has used, all its threads together.

use std::time::Duration;

use anyhow::{Context, ensure};

/// CPU time of all threads that live now; a proxy's workers live as long as it does.
pub(super) fn used(pid: u32) -> anyhow::Result<Duration> {
    let folder = format!("/proc/{pid}/task");
    let threads = std::fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))?;
    let mut nanoseconds = 0;
    for thread in threads {
        let file = thread?.path().join("schedstat");
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        nanoseconds += run_time(&text).with_context(|| format!("{}: {text:?}", file.display()))?;
    }
    ensure!(
        nanoseconds > 0,
        "this kernel keeps no scheduler statistics (CONFIG_SCHED_INFO)"
    );
    Ok(Duration::from_nanos(nanoseconds))
}

/// The first number of a `schedstat`: time on the CPU in nanoseconds.
fn run_time(schedstat: &str) -> anyhow::Result<u64> {
    schedstat
        .split_whitespace()
        .next()
        .context("empty")?
        .parse()
        .context("not a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_field_of_schedstat_is_the_time_on_the_cpu() {
        assert_eq!(run_time("381915592 29746 4\n").unwrap(), 381_915_592);
        assert!(run_time("").is_err());
    }
}

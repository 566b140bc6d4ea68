//! The memory of a process that is in RAM.

use anyhow::Context;

/// Kilobytes, as the kernel counts them.
pub(super) fn resident(pid: u32) -> anyhow::Result<f64> {
    let file = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    kilobytes(&text).with_context(|| format!("{file} has no `VmRSS:` line"))
}

fn kilobytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_status() {
        assert_eq!(kilobytes("VmHWM:\t  9 kB\nVmRSS:\t  12345 kB\n"), Some(12_345.0));
        assert_eq!(kilobytes("VmHWM:\t  9 kB\n"), None);
    }
}

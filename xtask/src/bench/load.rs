//! The load generator: wrk, pinned, on keep-alive connections.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::command;

/// What wrk saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Load {
    /// Answered requests.
    pub(super) requests: u64,
    /// The same per second.
    pub(super) rate: f64,
}

/// Runs the load for some seconds on core `core`. Any error or answer other than 2xx fails.
pub(super) fn run(
    wrk: &Path,
    root: &Path,
    core: &str,
    address: SocketAddr,
    seconds: u32,
) -> anyhow::Result<Load> {
    let mut command = Command::new("taskset");
    command
        .args(["-c", core])
        .arg(wrk)
        .args(["-t1", "-c64"])
        .arg(format!("-d{seconds}s"));
    command
        .arg("-s")
        .arg(root.join("tests/load/request.lua"))
        .arg(format!("http://{address}/"));
    parse(&command::output(&mut command)?)
}

fn parse(output: &str) -> anyhow::Result<Load> {
    let mut requests = None;
    let mut rate = None;
    for line in output.lines().map(str::trim) {
        if line.starts_with("Socket errors:") || line.starts_with("Non-2xx") {
            bail!("wrk says: {line}");
        }
        if let Some((count, _)) = line.split_once(" requests in ") {
            requests = count.parse().ok();
        }
        if let Some(value) = line.strip_prefix("Requests/sec:") {
            rate = value.trim().parse().ok();
        }
    }
    let requests = requests
        .filter(|requests| *requests > 0)
        .context("wrk names no number of requests")?;
    Ok(Load {
        requests,
        rate: rate.context("wrk names no rate")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "Running 1s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n\
        \x20 50182 requests in 1.10s, 12.35MB read\nRequests/sec:  45620.50\nTransfer/sec:     11.22MB\n";

    #[test]
    fn requests_and_rate_are_read() {
        assert_eq!(
            parse(OUTPUT).unwrap(),
            Load {
                requests: 50_182,
                rate: 45_620.5
            }
        );
    }

    #[test]
    fn errors_are_not_measured() {
        let check = |line: &str| assert!(parse(&format!("{OUTPUT}  {line}\n")).is_err(), "{line}");
        check("Non-2xx or 3xx responses: 3");
        check("Socket errors: connect 0, read 5, write 0, timeout 0");
        assert!(parse("").is_err());
    }
}

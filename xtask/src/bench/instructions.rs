//! `cargo xtask bench instructions`: user instructions per request, repeatable where the clock is not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::target::Bed;
use super::{cachegrind, template, weir};
use crate::client::{Connection, Request, encode};
use crate::service::{Service, free_port};
use crate::setup::Tool;
use crate::stage::Outcome;
use crate::workspace::Workspace;
use crate::{echo, plugins};

/// What is counted: the name in the file, and how many policies Weir runs.
const VARIANTS: [(&str, usize); 3] = [("bare", 0), ("one-policy", 1), ("five-policies", 5)];

/// Requests of the two runs whose difference is counted.
const FEW: u64 = 1_000;
const MANY: u64 = 4_000;

/// Connections that the requests take turns on.
const CONNECTIONS: usize = 4;

/// By how much a count may grow, in percent, before somebody has to say that it should.
const TOLERANCE: u64 = 5;

/// Where the counts are committed.
const FILE: &str = "tests/load/instructions.toml";

/// A start under valgrind is slow, and so is a drain.
const DEADLINE: Duration = Duration::from_secs(120);

type Counts = BTreeMap<String, u64>;

/// What to do with the counts.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Fail when a count grew by more than 5 % over the committed one.
    #[arg(long, conflicts_with = "bless")]
    check: bool,
    /// Write the counts to tests/load/instructions.toml, to be committed.
    #[arg(long)]
    bless: bool,
}

/// `cargo xtask bench instructions`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    if options.check {
        if let Outcome::Skipped(why) = check(workspace)? {
            eprintln!("SKIPPED: {why}");
        }
        return Ok(());
    }
    let valgrind = Tool::Valgrind
        .obtain(workspace)
        .context("valgrind is missing; install it and run this again")?;
    let counts = count(workspace, &valgrind)?;
    if options.bless {
        template::write(&workspace.root, FILE, &write(&counts)?)?;
        eprintln!("wrote {FILE}; commit it and say in the message why the counts changed");
    }
    Ok(())
}

/// The gate of `cargo xtask test`.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let Some(valgrind) = Tool::Valgrind.obtain(workspace) else {
        return Ok(Outcome::Skipped(
            "no valgrind, so instructions per request were NOT checked".into(),
        ));
    };
    let file = workspace.root.join(FILE);
    let text = std::fs::read_to_string(&file).with_context(|| {
        format!("cannot read {FILE}; write it with `cargo xtask bench instructions --bless`")
    })?;
    let committed: Counts = toml::from_str(&text).with_context(|| FILE.to_owned())?;
    let problems = compare(&committed, &count(workspace, &valgrind)?);
    if !problems.is_empty() {
        bail!(
            "{}\nIf that is on purpose, run `cargo xtask bench instructions --bless` and commit {FILE}.",
            problems.join("\n")
        );
    }
    Ok(Outcome::Done)
}

/// What grew too much, or is missing on either side.
fn compare(committed: &Counts, counted: &Counts) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, now) in counted {
        match committed.get(name) {
            None => problems.push(format!("{name}: {now} instructions per request, and no count in {FILE}")),
            Some(before) if now * 100 > before * (100 + TOLERANCE) => problems.push(format!(
                "{name}: {now} instructions per request; {before} are committed, {TOLERANCE} % more are allowed"
            )),
            Some(before) if now * 100 < before * (100 - TOLERANCE) => {
                eprintln!("{name}: {now} instructions per request, {before} are committed: bless the better count");
            }
            Some(_) => {}
        }
    }
    let gone = committed.keys().filter(|name| !counted.contains_key(*name));
    problems.extend(gone.map(|name| format!("{FILE} names {name}, which nothing counts")));
    problems
}

fn write(counts: &Counts) -> anyhow::Result<String> {
    let table = toml::to_string(counts)?;
    Ok(format!(
        "# User instructions per request of Weir, counted with cachegrind. Written by\n\
         # `cargo xtask bench instructions --bless`; `cargo xtask test` fails when one grows by more than {TOLERANCE} %.\n{table}"
    ))
}

fn count(workspace: &Workspace, valgrind: &Path) -> anyhow::Result<Counts> {
    plugins::build(&workspace.root)?;
    let binary = workspace.build_weir()?;
    let folder = workspace.target.join("bench/instructions");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let backend = echo::start("one", ([127, 0, 0, 1], 0).into())?.port();
    let bed = Bed {
        root: &workspace.root,
        folder,
        backend,
    };
    let mut counts = Counts::new();
    for (name, filters) in VARIANTS {
        let measured =
            measure(&bed, valgrind, &binary, name, filters).with_context(|| format!("variant {name}"))?;
        println!("{name:14} {measured:7} instructions per request");
        counts.insert(name.to_owned(), measured);
    }
    Ok(counts)
}

fn measure(bed: &Bed<'_>, valgrind: &Path, binary: &Path, name: &str, filters: usize) -> anyhow::Result<u64> {
    let address: SocketAddr = ([127, 0, 0, 1], free_port()?).into();
    let manifests = weir::manifests(bed, filters, address.port())?;
    let run = |requests: u64| -> anyhow::Result<(u64, u64)> {
        let out = bed.folder.join(format!("cachegrind.{name}.{requests}.out"));
        let mut command = cachegrind::command(valgrind, binary, &out);
        serve(bed, &mut command, &manifests, address, filters, requests)?;
        Ok((requests, cachegrind::instructions(&out)?))
    };
    // The first run compiles the plugin into the gateway's cache, so that neither counted run does. Under
    // valgrind too: it shows another processor, whose code is kept apart.
    run(1)?;
    cachegrind::per_request(run(FEW)?, run(MANY)?)
}

/// Runs a gateway for exactly so many requests.
fn serve(
    bed: &Bed<'_>,
    command: &mut Command,
    manifests: &PathBuf,
    address: SocketAddr,
    filters: usize,
    requests: u64,
) -> anyhow::Result<()> {
    let file = bed.folder.join("weir.log");
    let log = std::fs::File::create(&file).with_context(|| format!("cannot write {}", file.display()))?;
    command
        .args([
            "run",
            "--workers",
            "1",
            "--wasm-pool",
            "small",
            "--admin",
            "127.0.0.1:0",
        ])
        .arg(manifests);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut weir = Service::start("weir", command)?;
    let see_log = || format!("see {}", file.display());
    weir.wait_for(address, DEADLINE).with_context(see_log)?;
    send(address, filters, requests).with_context(see_log)?;
    weir.stop();
    Ok(())
}

/// Sends the requests in turns over a few connections, one at a time, so that every run does the same.
fn send(address: SocketAddr, filters: usize, requests: u64) -> anyhow::Result<()> {
    let wire = encode(&request(), "bench.example.com");
    let mut connections: Vec<Connection> = (0..CONNECTIONS)
        .map(|_| Connection::open(address))
        .collect::<Result<_, _>>()?;
    for number in 0..usize::try_from(requests)? {
        let Some(connection) = connections.get_mut(number % CONNECTIONS) else {
            continue;
        };
        connection.send(&wire)?;
        let answer = connection
            .receive("GET")
            .with_context(|| format!("request {number}"))?;
        ensure!(
            answer.status == 200,
            "request {number} is answered {} {}",
            answer.status,
            answer.reason
        );
        let changed = answer
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("x-response-bench-"))
            .count();
        ensure!(
            changed == filters,
            "{changed} of {filters} policies changed the answer to request {number}"
        );
    }
    Ok(())
}

/// The request of `tests/load/request.lua`.
fn request() -> Request {
    let headers = [
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        ),
        (
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        ),
        ("accept-language", "en-US,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br"),
        ("cookie", "session=0123456789abcdef; theme=dark"),
    ];
    let headers = headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    Request {
        method: "GET".into(),
        path: "/".into(),
        headers,
        body: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(all: &[(&str, u64)]) -> Counts {
        all.iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    fn check_problems(committed: u64, counted: u64, expect: usize) {
        let problems = compare(&counts(&[("bare", committed)]), &counts(&[("bare", counted)]));
        assert_eq!(problems.len(), expect, "{problems:?}");
    }

    #[test]
    fn a_count_may_shrink_or_grow_by_five_percent() {
        check_problems(20_000, 21_000, 0);
        check_problems(20_000, 21_001, 1);
        check_problems(20_000, 10_000, 0);
    }

    #[test]
    fn a_variant_on_one_side_only_is_a_problem() {
        assert_eq!(compare(&counts(&[]), &counts(&[("bare", 1)])).len(), 1);
        assert_eq!(compare(&counts(&[("bare", 1)]), &counts(&[])).len(), 1);
    }

    #[test]
    fn what_is_blessed_is_what_is_checked() {
        let all = counts(&[("bare", 26_000), ("one-policy", 30_000)]);
        let text = write(&all).unwrap();
        assert!(text.starts_with("# User instructions"));
        assert_eq!(toml::from_str::<Counts>(&text).unwrap(), all);
    }
}

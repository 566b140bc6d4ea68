//! `cargo xtask bench filters`: CPU per request and rate, beside other proxies in the same rounds.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::report::{Sample, Series, table};
use super::target::{Bed, Proxy, Target, start_backend};
use super::{cpu, load, template};
use crate::interrupt::Interrupt;
use crate::service::free_port;
use crate::setup::Tool;
use crate::workspace::Workspace;
use crate::{command, plugins};

/// The core of the backend and the load generator; proxies run alone on core 0.
const LOAD_CORE: &str = "1";

/// What is measured, in the order of the table.
const PLAN: [(Proxy, usize); 8] = [
    (Proxy::Nginx, 0),
    (Proxy::Haproxy, 0),
    (Proxy::Envoy, 0),
    (Proxy::Envoy, 1),
    (Proxy::Envoy, 5),
    (Proxy::Weir, 0),
    (Proxy::Weir, 1),
    (Proxy::Weir, 5),
];

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many rounds; every round measures every target.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of load for each target in each round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Leave Weir out: measures the peers alone.
    #[arg(long)]
    peers_only: bool,
}

struct Binaries {
    wrk: PathBuf,
    nginx: PathBuf,
    proxies: Vec<(Proxy, PathBuf)>,
}

/// `cargo xtask bench filters`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    ensure!(
        cores >= 2,
        "one core for the proxy and one for the load: this machine has {cores}"
    );
    let binaries = binaries(workspace, options)?;
    let interrupt = Interrupt::install()?;
    let bed = Bed {
        root: &workspace.root,
        folder: workspace.target.join("bench"),
        backend: free_port()?,
    };
    std::fs::create_dir_all(&bed.folder).with_context(|| format!("cannot make {}", bed.folder.display()))?;
    let _backend = start_backend(&bed, &binaries.nginx, LOAD_CORE)?;
    let targets = start_all(&bed, &binaries)?;
    let series = measure(&bed, &binaries.wrk, &targets, options, &interrupt)?;
    let text = format!(
        "{}\n{}",
        table(&series, &["nginx", "HAProxy"]),
        notes(&binaries, options)
    );
    let file = template::write(&bed.folder, "filters.md", &text)?;
    println!("\n{text}");
    eprintln!("also in {}", file.display());
    Ok(())
}

/// Everything that is needed, and of the peers what can be had.
fn binaries(workspace: &Workspace, options: &Options) -> anyhow::Result<Binaries> {
    let need = |tool: Tool| {
        let why = if tool == Tool::Nginx {
            "it is the backend"
        } else {
            "it makes the load"
        };
        tool.obtain(workspace)
            .with_context(|| format!("{} is missing and {why}", tool.name()))
    };
    let (wrk, nginx) = (need(Tool::Wrk)?, need(Tool::Nginx)?);
    let mut proxies = vec![(Proxy::Nginx, nginx.clone())];
    for (proxy, tool) in [(Proxy::Haproxy, Tool::Haproxy), (Proxy::Envoy, Tool::Envoy)] {
        match tool.obtain(workspace) {
            Some(binary) => proxies.push((proxy, binary)),
            None => eprintln!("MISSING: {}; going on without it", proxy.name()),
        }
    }
    if !options.peers_only {
        plugins::build(&workspace.root)?;
        proxies.push((Proxy::Weir, workspace.build_weir()?));
    }
    Ok(Binaries { wrk, nginx, proxies })
}

fn start_all(bed: &Bed<'_>, binaries: &Binaries) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    for (proxy, filters) in PLAN {
        let Some((_, binary)) = binaries.proxies.iter().find(|(known, _)| *known == proxy) else {
            continue;
        };
        match Target::start(bed, proxy, binary, filters) {
            Ok(target) => targets.push(target),
            // A peer that does not start must not hide what Weir does; Weir itself must start.
            Err(error) if proxy != Proxy::Weir => eprintln!("MISSING: {error:#}; going on without it"),
            Err(error) => return Err(error),
        }
    }
    Ok(targets)
}

fn measure(
    bed: &Bed<'_>,
    wrk: &std::path::Path,
    targets: &[Target],
    options: &Options,
    interrupt: &Interrupt,
) -> anyhow::Result<Vec<Series>> {
    let sample = |target: &Target, seconds| sample(bed, wrk, target, seconds);
    for target in targets {
        // Opens upstream connections, fills caches, grows pools.
        sample(target, 1).with_context(|| format!("warm-up of {}", target.name()))?;
        interrupt.check()?;
    }
    let mut series: Vec<Series> = targets.iter().map(empty).collect();
    for round in 0..usize::try_from(options.rounds)? {
        for turn in 0..targets.len() {
            let index = (turn + round) % targets.len();
            let (Some(target), Some(series)) = (targets.get(index), series.get_mut(index)) else {
                continue;
            };
            let sample = sample(target, options.seconds).with_context(|| target.name())?;
            eprintln!(
                "round {} {:18} {:6.1} us/request {:7.0} requests/s",
                round + 1,
                series.name,
                sample.cpu,
                sample.rate
            );
            series.samples.push(sample);
            interrupt.check()?;
        }
    }
    Ok(series)
}

fn empty(target: &Target) -> Series {
    let bare = (target.filters > 0).then(|| (target.proxy.name().to_owned(), target.filters));
    Series {
        name: target.name(),
        bare,
        samples: Vec::new(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "millions of requests")]
fn sample(bed: &Bed<'_>, wrk: &std::path::Path, target: &Target, seconds: u32) -> anyhow::Result<Sample> {
    let (before, start) = (cpu::used(target.pid())?, Instant::now());
    let load = load::run(wrk, bed.root, LOAD_CORE, target.address, seconds)?;
    let (used, wall) = (cpu::used(target.pid())?.saturating_sub(before), start.elapsed());
    Ok(Sample {
        cpu: used.as_secs_f64() * 1e6 / load.requests as f64,
        rate: load.rate,
        busy: share(used, wall),
    })
}

fn share(used: Duration, wall: Duration) -> f64 {
    used.as_secs_f64() / wall.as_secs_f64() * 100.0
}

fn notes(binaries: &Binaries, options: &Options) -> String {
    let mut lines = vec![format!(
        "{} rounds of {} s, interleaved; 64 keep-alive connections; one core for the proxy, one for load and backend. \
         A filter sets one request and one response header: native in Envoy, a Wasm component in Weir. \
         Ratios are medians of the ratios of each round.\n",
        options.rounds, options.seconds
    )];
    lines.extend(
        binaries
            .proxies
            .iter()
            .map(|(proxy, binary)| format!("- {}: {}", proxy.name(), proxy.version(binary))),
    );
    let kernel = command::output(std::process::Command::new("uname").arg("-sr")).unwrap_or_default();
    lines.push(format!("- kernel: {}", kernel.trim()));
    lines.join("\n")
}

//! `cargo xtask bench swaps`: a plugin's file is replaced again and again under load.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::latency::{Load, Plan, Seen, wait_until};
use super::report::median;
use super::target::Bed;
use super::weir::{Weir, with_policies};
use super::{memory, section};
use crate::client::{Connection, Request, Response};
use crate::interrupt::Interrupt;
use crate::workspace::Workspace;
use crate::{echo, plugins};

/// The plugins that take turns, and the response header by which each is known.
const PLUGINS: [(&str, &str); 2] = [("headers", "x-response-bench-1"), ("config_echo", "x-config")];

/// The test is cut into so many blocks of swaps, each with a block without swaps after it, so that a slow minute of
/// the machine touches both.
const BLOCKS: u32 = 10;

/// Swaps of which the memory is compared, at the start and at the end.
const WINDOW: usize = 100;

/// Time between two looks whether a swap is live.
const PROBE: Duration = Duration::from_millis(5);

/// How long a swap may take to be live.
const DEADLINE: Duration = Duration::from_secs(30);

/// The targets: p99 with swaps to p99 without, and memory at the end to memory at the start.
const LATENCY: f64 = 1.2;
const MEMORY: f64 = 1.1;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many swaps. Each takes half a second or so: files are looked at five times a second.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(20..))]
    count: u32,
    /// Clients, one keep-alive connection each.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// Requests per second of all clients together; 0 for as many as they can.
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// The longest block without swaps, in seconds; otherwise it is as long as the block of swaps before it.
    #[arg(long, default_value_t = 30)]
    quiet: u64,
    /// Worker threads of the gateway.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    workers: u32,
    /// Make every file one that was never seen, so that each swap compiles. Otherwise two files take turns, and come
    /// from the cache after their first turn.
    #[arg(long)]
    new_code: bool,
    /// Write the table into docs/operate/cost.md, to be committed.
    #[arg(long)]
    bless: bool,
}

/// What was measured.
#[derive(Default)]
struct Outcome {
    quiet: Seen,
    swapping: Seen,
    /// Seconds from the new file to the first answer of the new plugin.
    live: Vec<f64>,
    /// Kilobytes after each swap.
    memory: Vec<f64>,
}

/// `cargo xtask bench swaps`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    plugins::build(&workspace.root)?;
    let binary = workspace.build_weir()?;
    let interrupt = Interrupt::install()?;
    let bed = Bed {
        root: &workspace.root,
        folder: workspace.target.join("bench/swaps"),
        backend: echo::start("origin", ([127, 0, 0, 1], 0).into())?.port(),
    };
    let plugin = PluginFile::new(&bed, options.new_code)?;
    let weir = Weir::start(&bed, "swaps", &binary, options.workers, |listen| {
        with_policies(&bed, "manifests", &plugin.file, 1, listen)
    })?;
    let outcome = measure(&weir, &plugin, options, &interrupt)?;
    let (table, missed) = report(&outcome, options);
    section::publish(&workspace.root, "swaps", &table, options.bless)?;
    ensure!(missed.is_empty(), "missed: {}", missed.join("; "));
    Ok(())
}

fn measure(
    weir: &Weir,
    plugin: &PluginFile,
    options: &Options,
    interrupt: &Interrupt,
) -> anyhow::Result<Outcome> {
    let load = Load::start(&Plan {
        address: weir.address,
        request: request(),
        clients: options.clients,
        rate: options.rate,
        check: filtered,
    });
    let mut outcome = Outcome::default();
    let mut probe = Connection::open(weir.address)?;
    eprintln!("warm-up: both plugins are compiled and met once");
    for turn in [1, 2] {
        swap(plugin, turn, weir.address, &mut probe, interrupt)?;
    }
    drop(load.take());
    for block in 1..=BLOCKS {
        let since = Instant::now();
        // The swaps of all blocks together are as many as were asked for.
        let done = outcome.live.len();
        let until = usize::try_from(options.count * block / BLOCKS)?;
        for turn in done + 1..=until {
            let live = swap(plugin, turn, weir.address, &mut probe, interrupt)?;
            outcome.live.push(live.as_secs_f64());
            outcome.memory.push(memory::resident(weir.pid())?);
        }
        outcome.swapping.add(load.take());
        let quiet = since.elapsed().min(Duration::from_secs(options.quiet));
        rest(quiet, weir.address, &mut probe, interrupt)?;
        outcome.quiet.add(load.take());
        progress(&outcome, block);
    }
    Ok(outcome)
}

/// Puts the plugin of this turn in the file's place and waits until it answers.
fn swap(
    plugin: &PluginFile,
    turn: usize,
    address: SocketAddr,
    probe: &mut Connection,
    interrupt: &Interrupt,
) -> anyhow::Result<Duration> {
    let [even, odd] = PLUGINS;
    let (name, header) = if turn.is_multiple_of(2) { even } else { odd };
    plugin.put(turn)?;
    let since = Instant::now();
    loop {
        interrupt.check()?;
        match probe.exchange(&request()) {
            Ok(answer) if answer.header(header).next().is_some() => return Ok(since.elapsed()),
            Ok(_) => {}
            // The load counts failures; this one only wants to know when the swap is done.
            Err(_) => *probe = Connection::open(address)?,
        }
        ensure!(
            since.elapsed() < DEADLINE,
            "swap {turn}: the plugin {name} is not live after {} s; the gateway's log says why",
            DEADLINE.as_secs()
        );
        wait_until(Instant::now() + PROBE);
    }
}

/// A time without swaps, in which the probe asks as often as it does during swaps.
fn rest(
    time: Duration,
    address: SocketAddr,
    probe: &mut Connection,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        interrupt.check()?;
        if probe.exchange(&request()).is_err() {
            *probe = Connection::open(address)?;
        }
        wait_until(Instant::now() + PROBE);
    }
    Ok(())
}

fn progress(outcome: &Outcome, block: u32) {
    eprintln!(
        "block {block} of {BLOCKS}: {} swaps, {} requests, {} failed; p99 {:.2} ms with swaps, {:.2} ms without; {:.0} KiB",
        outcome.live.len(),
        outcome.swapping.requests() + outcome.quiet.requests(),
        outcome.swapping.failures().len() + outcome.quiet.failures().len(),
        outcome.swapping.quantile(0.99),
        outcome.quiet.quantile(0.99),
        outcome.memory.last().copied().unwrap_or(f64::NAN),
    );
}

/// The table, and the targets that were missed.
fn report(outcome: &Outcome, options: &Options) -> (String, Vec<String>) {
    let mut missed = Vec::new();
    let (quiet, swapping) = (&outcome.quiet, &outcome.swapping);
    let failures = || quiet.failures().iter().chain(swapping.failures());
    if let Some(first) = failures().next() {
        missed.push(format!(
            "{} requests failed, the first with {first:?}",
            failures().count()
        ));
    }
    let ratio = swapping.quantile(0.99) / quiet.quantile(0.99);
    // Not a number is no success.
    if ratio.is_nan() || ratio > LATENCY {
        missed.push(format!(
            "p99 is {ratio:.2} times that without swaps, more than {LATENCY}"
        ));
    }
    let (first, last) = ends(&outcome.memory);
    if last.is_nan() || first.is_nan() || last > first * MEMORY {
        missed.push(format!("memory grew from {first:.0} KiB to {last:.0} KiB"));
    }
    let row = |name: &str, seen: &Seen| {
        format!(
            "| {name} | {} | {} | {:.2} | {:.2} | {:.2} |\n",
            seen.requests(),
            seen.failures().len(),
            seen.quantile(0.5),
            seen.quantile(0.99),
            seen.quantile(1.0)
        )
    };
    let window = window(outcome.memory.len());
    let text = format!(
        "| load | requests | failed | p50, ms | p99, ms | longest, ms |\n|---|---|---|---|---|---|\n{}{}\n\
         {} swaps{}, {} clients, {} requests per second, {} worker threads. p99 with swaps is {ratio:.2} times that \
         without. A swap is live {:.0} ms after the new file is there (median). Resident memory, medians: {:.1} MiB over \
         the first {window} swaps, {:.1} MiB over the last {window} ({:+.1} %).",
        row("without swaps", quiet),
        row("with swaps", swapping),
        outcome.live.len(),
        if options.new_code {
            " to code never seen before"
        } else {
            ""
        },
        options.clients,
        options.rate,
        options.workers,
        median(&outcome.live) * 1e3,
        first / 1024.0,
        last / 1024.0,
        (last / first - 1.0) * 100.0,
    );
    (text, missed)
}

/// The medians of the first numbers and of the last.
fn ends(numbers: &[f64]) -> (f64, f64) {
    let window = window(numbers.len());
    let first = numbers.get(..window).unwrap_or_default();
    let last = numbers.get(numbers.len() - window..).unwrap_or_default();
    (median(first), median(last))
}

/// A hundred, or half of what there is.
fn window(count: usize) -> usize {
    WINDOW.min(count / 2)
}

fn request() -> Request {
    Request {
        method: "GET".into(),
        path: "/".into(),
        ..Request::default()
    }
}

/// A good answer went through exactly one of the plugins.
fn filtered(answer: &Response) -> anyhow::Result<()> {
    let met = PLUGINS
        .iter()
        .filter(|(_, header)| answer.header(header).next().is_some())
        .count();
    ensure!(met == 1, "{met} plugins changed the answer");
    Ok(())
}

/// The file that is swapped.
struct PluginFile {
    file: PathBuf,
    /// Beside its folder: what is written there is not looked at by the gateway.
    next: PathBuf,
    components: [Vec<u8>; 2],
    new_code: bool,
}

impl PluginFile {
    fn new(bed: &Bed<'_>, new_code: bool) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let file = bed.root.join(format!("target/wasm/tests/{name}.wasm"));
            std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
        };
        let [(first, _), (second, _)] = PLUGINS;
        let folder = bed.folder.join("plugin");
        make(&folder)?;
        let plugin = Self {
            file: folder.join("swapped.wasm"),
            next: bed.folder.join("next.wasm"),
            components: [read(first)?, read(second)?],
            new_code,
        };
        plugin.put(0)?;
        Ok(plugin)
    }

    /// Puts the component of this turn in place, at once and whole.
    fn put(&self, turn: usize) -> anyhow::Result<()> {
        let [even, odd] = &self.components;
        let mut component = if turn.is_multiple_of(2) { even } else { odd }.clone();
        if self.new_code {
            component.extend(mark(turn)?);
        }
        std::fs::write(&self.next, component)
            .and_then(|()| std::fs::rename(&self.next, &self.file))
            .with_context(|| format!("cannot replace {}", self.file.display()))
    }
}

/// A custom section: a component means the same with it, and its digest is another.
fn mark(turn: usize) -> anyhow::Result<[u8; 11]> {
    let [a, b, c, d] = u32::try_from(turn)?.to_le_bytes();
    Ok([0, 9, 4, b't', b'u', b'r', b'n', a, b, c, d])
}

fn make(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_a_hundred_each_or_half() {
        let numbers: Vec<f64> = (1..=1000).map(f64::from).collect();
        assert_eq!(ends(&numbers), (50.5, 950.5));
        assert_eq!(ends(&[1.0, 2.0, 3.0, 4.0]), (1.5, 3.5));
        assert!(ends(&[]).0.is_nan());
    }

    #[test]
    fn nothing_measured_is_every_target_missed() {
        let options = Options {
            count: 1000,
            clients: 8,
            rate: 0,
            quiet: 1,
            workers: 1,
            new_code: false,
            bless: false,
        };
        let (_, missed) = report(&Outcome::default(), &options);
        assert_eq!(missed.len(), 2, "latency and memory: {missed:?}");
    }

    #[test]
    fn a_good_answer_went_through_one_plugin() {
        let answer = |headers: &[&str]| Response {
            status: 200,
            headers: headers
                .iter()
                .map(|name| ((*name).to_owned(), "on".to_owned()))
                .collect(),
            ..Response::default()
        };
        assert!(filtered(&answer(&["x-config"])).is_ok());
        assert!(filtered(&answer(&[])).is_err());
        assert!(filtered(&answer(&["x-config", "x-response-bench-1"])).is_err());
    }
}

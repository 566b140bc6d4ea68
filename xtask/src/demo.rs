//! `cargo xtask demo`: the quickstart, built, running, and shown.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::check::{self, Case};
use crate::interrupt::Interrupt;
use crate::service::{Service, require_free};
use crate::stage::{Outcome, Stages, mark};
use crate::workspace::Workspace;
use crate::{echo, plugins, setup};

/// The backends that the quickstart's manifests name.
const BACKENDS: [(&str, u16); 2] = [("echo-a", 9001), ("echo-b", 9002)];

/// The port of the quickstart's listener.
const GATEWAY: u16 = 8080;

const QUICKSTART: &str = "examples/quickstart";

/// How the demo ends.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave after the checks, with an error if an answer was not as expected.
    #[arg(long)]
    once: bool,
}

/// `cargo xtask demo`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    setup::toolchain(workspace)?;
    let cases = cases(&workspace.root)?;
    // Before minutes of building, not after.
    require_ports()?;
    let binary = build(workspace)?;
    start(workspace, &binary, &cases, options.once)
}

/// The demo without its end, as a check.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    run(workspace, &Options { once: true })
}

fn cases(root: &Path) -> anyhow::Result<Vec<Case>> {
    let file = root.join(QUICKSTART).join("check.txt");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    check::parse(&text).with_context(|| format!("{QUICKSTART}/check.txt"))
}

fn require_ports() -> anyhow::Result<()> {
    for (name, port) in BACKENDS {
        require_free(loopback(port), &format!("the echo backend {name}"))?;
    }
    require_free(loopback(GATEWAY), "the gateway")
}

fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let mut stages = Stages::new(2);
    stages.run("plugins", "compiling the plugins to Wasm components", || {
        plugins::build(&workspace.root)?;
        copy_hello(&workspace.root)?;
        Ok(Outcome::Done)
    })?;
    stages.run(
        "weir",
        "compiling the gateway in release (the first time it takes minutes: 4 on a fast machine, 10 on two slow cores)",
        || workspace.build_weir().map(|_| Outcome::Done),
    )?;
    Ok(workspace.target.join("release/weir"))
}

/// The quickstart's own plugin lies beside its manifests, as an author would put it there.
fn copy_hello(root: &Path) -> anyhow::Result<()> {
    let from = root.join("target/wasm/examples/hello.wasm");
    let folder = root.join(QUICKSTART).join("plugins");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    std::fs::copy(&from, folder.join("hello.wasm"))
        .with_context(|| format!("cannot copy {} to {}", from.display(), folder.display()))?;
    Ok(())
}

fn start(workspace: &Workspace, binary: &Path, cases: &[Case], once: bool) -> anyhow::Result<()> {
    let interrupt = Interrupt::install()?;
    for (name, port) in BACKENDS {
        echo::start(name, loopback(port))?;
    }
    eprintln!("{} weir run {QUICKSTART}", mark("==>"));
    let mut weir = Service::start(
        "weir",
        Command::new(binary)
            .args(["run", QUICKSTART])
            .current_dir(&workspace.root),
    )?;
    weir.wait_for(loopback(GATEWAY), Duration::from_secs(30))?;
    let wrong = check::replay(loopback(GATEWAY), cases)?;
    let all = cases.len();
    println!(
        "\n{} of {all} requests were answered as {QUICKSTART}/check.txt says.",
        all - wrong
    );
    if !once {
        invite(cases);
        stay(&mut weir, &interrupt)?;
    }
    if wrong > 0 {
        bail!("{wrong} of {all} requests got another answer than {QUICKSTART}/check.txt says");
    }
    Ok(())
}

/// Things to try while the demo is up.
fn invite(cases: &[Case]) {
    println!("\n{}\n", mark("Weir is up. Try:"));
    let mut seen = Vec::new();
    for case in cases {
        let headers: String = case
            .request
            .headers
            .iter()
            .map(|(name, value)| format!(" -H '{name}: {value}'"))
            .collect();
        let method = match case.request.method.as_str() {
            "GET" => String::new(),
            method => format!(" -X {method}"),
        };
        let line = format!(
            "  curl -i{method}{headers} http://{}{}",
            loopback(GATEWAY),
            case.request.path
        );
        if !seen.contains(&line) {
            println!("{line}");
            seen.push(line);
        }
    }
    println!("\nChange a file in {QUICKSTART} and send a request again. Ctrl-C ends the demo.\n");
}

fn stay(weir: &mut Service, interrupt: &Interrupt) -> anyhow::Result<()> {
    loop {
        let exit = weir.exited_within(Duration::from_millis(200));
        // The terminal sends Ctrl-C to weir as well: then its end is no surprise.
        if interrupt.raised() {
            weir.stop();
            return Ok(());
        }
        if let Some(status) = exit {
            bail!("weir ended: {status}");
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

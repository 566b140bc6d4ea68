//! `weir plugin`: plugins to and from registries, and what is inside them. Speaks with nobody but the registry or
//! server that the command line names.

mod access;
mod configure;
mod inspect;
mod login;
mod pull;
mod push;
mod report;
mod source;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, interval_at};

use crate::args::Plugin;
use crate::report as say;

pub(crate) fn run(command: &Plugin) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the command cannot start its runtime")?;
    let done = runtime.block_on(async {
        match command {
            Plugin::Push(options) => push::run(options).await,
            Plugin::Pull(options) => pull::run(options).await,
            Plugin::Inspect(options) => inspect::run(options).await,
        }
    });
    // A thread may still compile what nobody waits for any more.
    runtime.shutdown_background();
    done.map(|()| ExitCode::SUCCESS)
}

/// Waits for long work, and says on stderr what it is waiting for: to a person at once, to a log every ten seconds.
async fn waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    if std::io::stderr().is_terminal() {
        say::note(&format!("{what} …"));
    }
    let since = Instant::now();
    let mut tick = interval_at(since + EVERY, EVERY);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = tick.tick() => say::note(&format!("{what} … {} s", since.elapsed().as_secs())),
        }
    }
}

/// The same for work that keeps its thread busy.
async fn busy<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    waiting(what, tokio::task::spawn_blocking(work))
        .await
        .with_context(|| format!("{what}: it was ended"))
}

const EVERY: Duration = Duration::from_secs(10);

//! `weir run`: manifests in, traffic served, changes followed, until SIGTERM.

mod live;
mod transition;

use std::convert::Infallible;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;
use weir_discovery::Watch;
use weir_gateway::{BackgroundThread, FileSinks, Sources, admin};
use weir_proxy::FleetConfig;
use weir_telemetry::Registry;

use crate::args::{LogFormat, Run};
use crate::{plugins, report};
use live::Live;

pub(crate) fn run(options: &Run, log: LogFormat) -> anyhow::Result<ExitCode> {
    start_log(log);
    // The workers have threads and runtimes of their own; this one applies configuration.
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_start(yield_to_workers)
        .enable_all()
        .build()?;
    control.block_on(serve(options))
}

/// Compiling a plugin takes seconds of a core; who serves traffic goes first. The thread that starts workers does not
/// come here, since they would have the same priority and keep it.
fn yield_to_workers() {
    if let Err(error) = rustix::process::nice(CONTROL_NICENESS) {
        tracing::debug!(%error, "plugins are prepared at the priority of workers");
    }
}

/// By how much the threads yield that prepare plugins and answer on the admin endpoint.
const CONTROL_NICENESS: i32 = 10;

/// How often the status shows how plugins fare.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

async fn serve(options: &Run) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let admin_socket = admin::bind(options.admin).await.with_context(|| {
        format!(
            "cannot listen on the admin address {}; choose another with --admin",
            options.admin
        )
    })?;
    let (view, shown) = watch::channel(admin::View::default());
    let registry = Registry::new();
    let page = registry.clone();
    let metrics: admin::Metrics = Arc::new(move || page.render());
    let admin = tokio::spawn(admin::serve(admin_socket, shown, Some(metrics)));

    let mut watch = Watch::new();
    watch.follow(options.manifests.paths.clone()).await;
    let grace = Duration::from_secs(options.grace.into());
    let fetcher = plugins::fetcher(
        &options.sources,
        plugins::artifact_dir(options.cache_dir.as_deref()),
    )?;
    let mut live = Live::new(
        plugins::runtime(
            options.cache_dir.as_deref(),
            options.wasm_pool,
            Arc::new(FileSinks::default()),
            &registry,
        )?,
        Sources::new(fetcher),
        BackgroundThread::start().context("the thread for background work does not start")?,
        fleet(options),
        grace,
        view,
    );
    let first = tokio::select! {
        first = follow(&mut watch, &mut live, options) => first,
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
        _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
    };
    if let Err(problems) = first
        && !live.waits_for_plugins()
    {
        problems.iter().for_each(|problem| report::error(problem));
        report::error(
            "nothing to serve yet: mend this and start again; `weir validate` checks without serving",
        );
        return Ok(ExitCode::FAILURE);
    }
    for waiting in live.problems() {
        tracing::warn!("not ready yet: {waiting}");
    }
    let stopped = tokio::select! {
        never = follow_changes(&mut watch, &mut live, options) => match never {},
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal = stopped, grace = options.grace, "draining");
    live.drain().await;
    admin.abort();
    Ok(ExitCode::SUCCESS)
}

/// Applies every change, for as long as it is polled.
async fn follow_changes(watch: &mut Watch, live: &mut Live, options: &Run) -> Infallible {
    let mut pulse = tokio::time::interval(HEALTH_INTERVAL);
    let mut known = Vec::new();
    loop {
        tokio::select! {
            () = watch.changed() => {}
            () = live.arrived() => {}
            _ = pulse.tick() => {
                live.show_health();
                continue;
            }
        }
        let problems = follow(watch, live, options).await.err().unwrap_or_default();
        for problem in problems.iter().filter(|it| !known.contains(*it)) {
            tracing::error!("not live, what was good last stays: {problem}");
        }
        known = problems;
    }
}

/// Applies what the files say now, and looks at all that it names from then on.
async fn follow(watch: &mut Watch, live: &mut Live, options: &Run) -> Result<(), Vec<String>> {
    let outcome = live.reload(&options.manifests.paths).await;
    let named = options.manifests.paths.iter().chain(live.plugin_files());
    watch.follow(named.cloned().collect()).await;
    outcome
}

fn fleet(options: &Run) -> FleetConfig {
    let default = FleetConfig::default();
    FleetConfig {
        workers: options.workers.map_or(default.workers, usize::from),
        ..default
    }
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

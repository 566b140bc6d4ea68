//! `weir validate`: every mistake of every object, before anything runs.

use std::process::ExitCode;
use std::sync::Arc;

use weir_gateway::{Arrived, Failure, NoSinks, Subject, check};
use weir_model::Snapshot;
use weir_runtime::Runtime;
use weir_telemetry::Registry;
use weir_translate::ObjectStatus;

use crate::args::{Manifests, Sources, WasmPool};
use crate::manifest::{self, Translated};
use crate::{plugins, report};

pub(crate) fn run(options: &Manifests) -> anyhow::Result<ExitCode> {
    let problems = match manifest::translate(&options.paths) {
        Ok(translated) => {
            for notice in &translated.notices {
                report::note(&notice.to_string());
            }
            problems(&translated)?
        }
        Err(problems) => problems,
    };
    for problem in &problems {
        report::print(&format!("{problem}\n"));
    }
    if problems.is_empty() {
        report::print("valid\n");
        return Ok(ExitCode::SUCCESS);
    }
    let (count, noun) = (
        problems.len(),
        if problems.len() == 1 {
            "problem"
        } else {
            "problems"
        },
    );
    report::print(&format!("{count} {noun}\n"));
    Ok(ExitCode::FAILURE)
}

/// Conditions that say no, documents that do not lower, and plugins that do not load or refuse their
/// configuration.
fn problems(translated: &Translated) -> anyhow::Result<Vec<String>> {
    let place = |object: &str| {
        translated
            .places
            .get(object)
            .map(|at| format!("{at}: error: "))
            .unwrap_or_default()
    };
    let mut problems = Vec::new();
    for status in &translated.output.statuses {
        let at = place(&status.object());
        problems.extend(refusals(status, &[]).into_iter().map(|it| format!("{at}{it}")));
    }
    // Started only when there are plugins to load.
    let mut started = None;
    for document in &translated.output.documents {
        let gateway = format!("Gateway {}", document.gateway);
        match weir_config::lower(document) {
            Err(diagnostics) => {
                problems.extend(
                    diagnostics
                        .iter()
                        .map(|it| format!("{}{gateway}: {it}", place(&gateway))),
                );
            }
            Ok(snapshot) if snapshot.plugins.is_empty() => {}
            Ok(snapshot) => {
                let runtime = match started.take() {
                    Some(runtime) => runtime,
                    None => plugins::runtime(None, WasmPool::Default, Arc::new(NoSinks), &Registry::new())?,
                };
                let arrived = Arrived::nothing(plugins::fetcher(&Sources::default(), None)?);
                let failures = check_there(&snapshot, &runtime, &arrived)?;
                problems.extend(
                    failures
                        .iter()
                        .map(|it| format!("{}{it}", place(&blamed(&it.subject)))),
                );
                started = Some(runtime);
            }
        }
    }
    problems.dedup();
    Ok(problems)
}

/// Checks a snapshot where files may be read: within a runtime of its own, since proving a file waits.
fn check_there(snapshot: &Snapshot, runtime: &Runtime, arrived: &Arrived) -> anyhow::Result<Vec<Failure>> {
    let here = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let _entered = here.enter();
    Ok(check(snapshot, runtime, &plugins::builtins(), arrived)
        .err()
        .unwrap_or_default())
}

/// The object that a failure is about.
fn blamed(subject: &Subject) -> String {
    match subject {
        Subject::Plugin(name) => format!("Plugin {name}"),
        Subject::Filter { origin, .. } => origin.first().cloned().unwrap_or_default(),
        Subject::Listener(address) => address.to_string(),
    }
}

/// What an object's conditions complain of, except those of some types.
pub(crate) fn refusals(status: &ObjectStatus, except: &[&str]) -> Vec<String> {
    let complaint = |(part, condition): (String, &weir_translate::Condition)| {
        // `Conflicted` and its like are bad news when they are true.
        let bad_when_true = matches!(condition.type_.as_str(), "Conflicted" | "OverlappingTLSConfig");
        let overridden =
            condition.reason == "Overridden" || condition.reason == "PartiallyValid" && condition.is_true();
        let skipped = overridden || except.contains(&condition.type_.as_str());
        if condition.is_true() == bad_when_true && !skipped {
            let object = status.object();
            let part = if part.is_empty() {
                part
            } else {
                format!(" ({part})")
            };
            return Some(format!(
                "{object}{part}: {} {}: {}",
                condition.type_, condition.reason, condition.message
            ));
        }
        None
    };
    status.all_conditions().filter_map(complaint).collect()
}

//! `weir validate`: every mistake of every object, before anything runs.

use std::process::ExitCode;

use weir_translate::ObjectStatus;

use crate::args::Manifests;
use crate::manifest::{self, Translated};
use crate::report;

pub(crate) fn run(options: &Manifests) -> anyhow::Result<ExitCode> {
    let problems = match manifest::translate(&options.paths) {
        Ok(translated) => {
            for notice in &translated.notices {
                report::note(&notice.to_string());
            }
            problems(&translated)
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

/// Conditions that say no, and documents that do not lower.
fn problems(translated: &Translated) -> Vec<String> {
    let conditions = translated.output.statuses.iter().flat_map(|it| refusals(it, &[]));
    let lowering = translated.output.documents.iter().flat_map(|document| {
        let diagnostics = weir_config::lower(document).err().unwrap_or_default();
        diagnostics
            .into_iter()
            .map(|it| format!("Gateway {}: {it}", document.gateway))
    });
    let mut problems: Vec<String> = conditions.chain(lowering).collect();
    problems.dedup();
    problems
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

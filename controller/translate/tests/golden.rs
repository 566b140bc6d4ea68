//! Every folder of `golden/` is a case: `in.yaml` is translated, and what comes out must be `out.yaml`,
//! `chains.yaml` and `diagnostics.txt`, each where it has something to say. With `WEIR_BLESS=1` the files
//! are written instead.

#![expect(
    clippy::unwrap_used,
    reason = "a test may fail by panicking, in its helpers too"
)]

use std::fs;
use std::path::{Path, PathBuf};

use weir_translate::{Input, Output, Parsed, Scope, SourceFile, parse, translate};

#[test]
fn every_case_gives_what_its_files_say() {
    let mut cases: Vec<_> = fs::read_dir(golden())
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    cases.retain(|it| it.join("in.yaml").exists());
    cases.sort();
    assert!(cases.len() >= 25, "cases are missing: {}", cases.len());
    let mut failures = Vec::new();
    for case in cases {
        let text = fs::read_to_string(case.join("in.yaml")).unwrap();
        failures.extend(check(&case, &[SourceFile::new("/golden/in.yaml", text)]));
    }
    assert!(
        failures.is_empty(),
        "{}\nrun with WEIR_BLESS=1 if this is as it should be",
        failures.join("\n")
    );
}

#[test]
fn the_quickstart_translates_without_a_complaint() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/quickstart");
    let file = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        SourceFile {
            path: name.into(),
            folder: "/quickstart".into(),
            text,
        }
    };
    let files = ["gateway.yaml", "plugins.yaml", "policies.yaml", "routes.yaml"].map(file);
    let output = translate(&Input::new(Scope::Files, parse(&files).objects));
    for status in &output.statuses {
        for (place, condition) in status.all_conditions() {
            let is_good = condition.is_true() != (condition.type_ == "Conflicted");
            assert!(is_good, "{} {place}: {condition:?}", status.object());
        }
    }
    let failures = check(&golden().join("quickstart"), &files);
    assert!(
        failures.is_empty(),
        "{}\nrun with WEIR_BLESS=1 if this is as it should be",
        failures.join("\n")
    );
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Compares a case with its files; what differs is returned.
fn check(case: &Path, files: &[SourceFile]) -> Vec<String> {
    let parsed = parse(files);
    let output = translate(&Input::new(Scope::Files, parsed.objects.clone()));
    let backwards = translate(&Input::new(Scope::Files, parsed.objects.iter().rev().cloned()));
    assert_eq!(
        output,
        backwards,
        "{}: the order of the input counts",
        case.display()
    );
    for document in &output.documents {
        let lowered = weir_config::lower(document);
        assert!(
            lowered.is_ok(),
            "{}: the document is not valid: {:?}",
            case.display(),
            lowered.err()
        );
    }
    let expectations = [
        ("diagnostics.txt", diagnostics(&parsed)),
        ("out.yaml", out(&output)),
        ("chains.yaml", chains(&output)),
    ];
    expectations
        .into_iter()
        .filter_map(|(name, text)| compare(&case.join(name), &text))
        .collect()
}

fn diagnostics(parsed: &Parsed) -> String {
    parsed.diagnostics.iter().map(|it| format!("{it}\n")).collect()
}

fn out(output: &Output) -> String {
    #[derive(serde::Serialize)]
    struct Out<'a> {
        documents: &'a [weir_config::Document],
        statuses: &'a [weir_translate::ObjectStatus],
    }
    if output.documents.is_empty() && output.statuses.is_empty() {
        return String::new();
    }
    serde_saphyr::to_string(&Out {
        documents: &output.documents,
        statuses: &output.statuses,
    })
    .unwrap()
}

/// Chains are written down where there is more to them than the document says.
fn chains(output: &Output) -> String {
    let mut views = output
        .chains
        .iter()
        .flat_map(|it| it.listeners.iter().chain(&it.routes));
    match views.any(|it| it.fault.is_some() || !it.overridden.is_empty() || it.steps.len() > 1) {
        true => serde_saphyr::to_string(&output.chains).unwrap(),
        false => String::new(),
    }
}

fn compare(path: &Path, actual: &str) -> Option<String> {
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected == actual {
        return None;
    }
    if std::env::var_os("WEIR_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match actual.is_empty() {
            true => fs::remove_file(path).unwrap(),
            false => fs::write(path, actual).unwrap(),
        }
        return None;
    }
    let line = expected
        .lines()
        .zip(actual.lines())
        .take_while(|(a, b)| a == b)
        .count();
    let show = |text: &str| text.lines().nth(line).unwrap_or("(end)").to_owned();
    Some(format!(
        "{}:{}: expected {:?}, got {:?}",
        path.display(),
        line + 1,
        show(&expected),
        show(actual)
    ))
}

//! Coverage for a fuzzer, in the crates it is about and not in the engine beside them, which it would only slow down.
//! Cargo has no stable way to give flags to some crates, so this program stands between cargo and the compiler.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Context;

/// Makes a cargo command ask this program to compile.
pub(super) fn request(cargo: &mut Command) -> anyhow::Result<()> {
    let this = std::env::current_exe().context("this program's own path")?;
    cargo.env("RUSTC_WRAPPER", this).env(MARK, "1");
    Ok(())
}

/// Compiles in cargo's place, when cargo was asked to let it; `None` otherwise.
pub(crate) fn wrap() -> Option<ExitCode> {
    std::env::var_os(MARK)?;
    let mut arguments = std::env::args_os().skip(1);
    let compiler = arguments.next()?;
    let arguments: Vec<OsString> = arguments.collect();
    let mut rustc = Command::new(&compiler);
    if is_covered(&arguments) {
        rustc.args(FLAGS);
    }
    let status = rustc.args(&arguments).status();
    Some(match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: cannot start {}: {error}", compiler.display());
            ExitCode::FAILURE
        }
    })
}

/// Our own crates, and those that read strangers' bytes for them; none that a macro or build script needs, too, which could not be
/// linked.
fn is_covered(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().filter_map(|it| it.to_str());
    let Some(name) = words.find(|it| *it == "--crate-name").and_then(|_| words.next()) else {
        return false;
    };
    let ours = name.starts_with("weir_")
        || arguments
            .iter()
            .any(|it| it.to_string_lossy().contains("fuzz_targets/"));
    ours || ["flate2", "http", "miniz_oxide", "tar"].contains(&name)
}

const MARK: &str = "WEIR_FUZZ_COVERAGE";

const FLAGS: [&str; 8] = [
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_fuzzed_is_covered() {
        let check = |line: &str, covered: bool| {
            let arguments: Vec<_> = line.split(' ').map(OsString::from).collect();
            assert_eq!(is_covered(&arguments), covered, "{line}");
        };
        check("--crate-name weir_runtime --edition=2024 src/lib.rs", true);
        check(
            "--crate-name tar_layer --edition=2024 fuzz_targets/tar_layer.rs",
            true,
        );
        check("--crate-name http src/lib.rs", true);
        check("--crate-name wasmtime src/lib.rs", false);
        check("-vV", false);
    }
}

//! Builds guests: every plugin, example and test guest of the repository, or one crate of a policy author.
//!
//! Cargo makes modules in a target folder of its own, so that guests never wait for the lock of the build that
//! needs them; `component` turns each into a component under `target/wasm`.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

mod component;
mod package;

use package::Package;

/// Builds every guest of the repository into `target/wasm/{plugins,examples,tests}/<name>.wasm`.
///
/// # Errors
/// When the Wasm target is missing, a guest does not compile, or a module is no valid component.
pub(crate) fn build(root: &Path) -> Result<()> {
    let mut packages = package::read(root, None)?;
    packages.retain(|package| shelf(root, &package.manifest_path) != OWN);
    ensure!(
        !packages.is_empty(),
        "no guest crates under plugins/, examples/plugins/ or tests/guests"
    );
    let mut modules = Vec::new();
    for target in package::TARGETS {
        let packages: Vec<_> = packages
            .iter()
            .filter(|package| package.target() == target)
            .collect();
        if !packages.is_empty() {
            modules.extend(compile(root, target, &packages)?);
        }
    }
    let mut changed = 0;
    for module in &modules {
        let out = destination(root, module)?;
        if component::write(&module.file, &out).with_context(|| format!("guest {}", module.name))? {
            changed += 1;
            eprintln!(
                "guests: {} ({} bytes)",
                relative(root, &out).display(),
                std::fs::metadata(&out)?.len()
            );
        }
    }
    eprintln!("guests: {} components, {changed} of them new", modules.len());
    Ok(())
}

fn compile(root: &Path, target: &str, packages: &[&Package]) -> Result<Vec<Module>> {
    package::ensure_target(root, target)?;
    eprintln!("guests: compiling {} crates for {target}", packages.len());
    let mut cargo = cargo_build(root, target);
    cargo.args(["--lib", "--examples"]);
    for package in packages {
        cargo.args(["--package", &package.name]);
    }
    run(cargo)
}

/// Builds the guest crate in `crate_dir` and returns its component: in the same place as [`build`] for a
/// crate of this repository, in `target/wasm/own` for any other.
///
/// # Errors
/// Like [`build`]; also when the crate does not make exactly one module.
pub(crate) fn build_one(root: &Path, crate_dir: &Path) -> Result<PathBuf> {
    let manifest = crate_dir.join("Cargo.toml");
    ensure!(
        manifest.is_file(),
        "{}: no Cargo.toml there; name the folder of a guest crate",
        crate_dir.display()
    );
    let manifest = manifest.canonicalize()?;
    let packages = package::read(root, Some(&manifest))?;
    let package = packages
        .iter()
        .find(|package| package.manifest_path == manifest)
        .with_context(|| format!("{}: no package there", manifest.display()))?;
    let target = package.target();
    package::ensure_target(root, target)?;
    eprintln!("guests: compiling {} for {target}", crate_dir.display());
    let mut cargo = cargo_build(root, target);
    cargo.arg("--lib").arg("--manifest-path").arg(&manifest);
    for setting in PROFILE {
        cargo.args(["--config", setting]);
    }
    let mut modules = run(cargo)?;
    // A workspace's default members may come along; only this crate was asked for.
    modules.retain(|module| module.manifest == manifest);
    let [module] = modules.as_slice() else {
        bail!(
            "{}: no module was made; its [lib] needs crate-type = [\"cdylib\"]",
            manifest.display()
        );
    };
    let out = destination(root, module)?;
    component::write(&module.file, &out).with_context(|| format!("guest {}", module.name))?;
    eprintln!(
        "guests: {} ({} bytes)",
        relative(root, &out).display(),
        std::fs::metadata(&out)?.len()
    );
    Ok(out)
}

/// The profile `guest` of the root manifest, for a crate outside this workspace.
const PROFILE: [&str; 6] = [
    "profile.guest.inherits=\"release\"",
    "profile.guest.opt-level=\"s\"",
    "profile.guest.lto=\"fat\"",
    "profile.guest.codegen-units=1",
    "profile.guest.panic=\"abort\"",
    "profile.guest.strip=true",
];

/// A module that cargo made: a core module, or a component for a target that links one.
struct Module {
    name: String,
    manifest: PathBuf,
    file: PathBuf,
}

/// The lines of `cargo build --message-format json` that matter here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

const OWN: &str = "own";

/// The folder under `target/wasm` for the guests of a crate.
fn shelf(root: &Path, manifest: &Path) -> &'static str {
    let dir = relative(root, manifest.parent().unwrap_or(manifest));
    let parts: Vec<_> = dir.iter().filter_map(|part| part.to_str()).collect();
    match parts.as_slice() {
        ["plugins", _] => "plugins",
        ["examples", "plugins", _] => "examples",
        ["tests", "guests"] | ["tests", "guests", _] => "tests",
        _ => OWN,
    }
}

fn destination(root: &Path, module: &Module) -> Result<PathBuf> {
    let shelf = shelf(root, &module.manifest);
    // A plugin is named as its folder is; a test guest, of which one crate holds many, as its target.
    let name = match shelf {
        "tests" => module.name.clone(),
        _ => {
            let dir = module
                .manifest
                .parent()
                .and_then(Path::file_name)
                .context("a manifest without folder")?;
            dir.to_string_lossy().into_owned()
        }
    };
    Ok(root
        .join("target/wasm")
        .join(shelf)
        .join(name)
        .with_extension("wasm"))
}

fn relative<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn cargo_build(root: &Path, target: &str) -> Command {
    let mut command = Command::new(cargo());
    // From the root, for its .cargo/config.toml and toolchain, wherever the crate lies.
    command
        .current_dir(root)
        .args(["build", "--target", target, "--profile", "guest"]);
    command.arg("--target-dir").arg(root.join("target/wasm/build"));
    command.args(["--message-format", "json-render-diagnostics"]);
    command
}

/// Runs a build, with cargo's own progress on stderr, and collects the modules it made.
fn run(mut command: Command) -> Result<Vec<Module>> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo build")?;
    let stdout = child.stdout.take().context("cargo's output is not piped")?;
    let mut modules = Vec::new();
    let messages = serde_json::Deserializer::from_reader(BufReader::new(stdout)).into_iter::<Message>();
    for message in messages {
        let message = message.context("output of cargo build")?;
        let Some(target) = message.target.filter(|_| message.reason == "compiler-artifact") else {
            continue;
        };
        let guest = target
            .kind
            .iter()
            .any(|kind| kind == "cdylib" || kind == "example");
        let file = message
            .filenames
            .into_iter()
            .find(|file| file.extension().is_some_and(|ext| ext == "wasm"));
        if let Some(file) = file.filter(|_| guest) {
            modules.push(Module {
                name: target.name,
                manifest: message.manifest_path,
                file,
            });
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "the guests did not compile");
    modules.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_lands_where_its_crate_lies() {
        let check = |manifest: &str, target: &str, expect: &str| {
            let module = Module {
                name: target.to_owned(),
                manifest: manifest.into(),
                file: PathBuf::new(),
            };
            let out = destination(Path::new("/weir"), &module).unwrap();
            assert_eq!(out, Path::new("/weir/target/wasm").join(expect));
        };
        check(
            "/weir/plugins/access-log/Cargo.toml",
            "weir_plugin_access_log",
            "plugins/access-log.wasm",
        );
        check(
            "/weir/examples/plugins/hello/Cargo.toml",
            "hello",
            "examples/hello.wasm",
        );
        check(
            "/weir/tests/guests/Cargo.toml",
            "body_upper",
            "tests/body_upper.wasm",
        );
        check(
            "/weir/tests/guests/wasi-hello/Cargo.toml",
            "wasi_hello",
            "tests/wasi_hello.wasm",
        );
        check("/home/me/geo-block/Cargo.toml", "geo", "own/geo-block.wasm");
    }
}

//! Writes generated sources that are committed: the guest bindings of the WIT packages.
//!
//! Guests then compile plain Rust instead of the bindings macro, which costs tens of seconds on a first build.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::Opts;

/// One generated file.
struct Binding {
    wit: &'static str,
    world: &'static str,
    /// Where the file lies.
    file: &'static str,
    /// The crate path by which the export macro reaches the module.
    module: &'static str,
    /// The crate path of the generator's small runtime.
    runtime: &'static str,
}

const BINDINGS: [Binding; 2] = [
    Binding {
        wit: "wit/weir-policy",
        world: "policy",
        file: "sdk/rust/src/bindings.rs",
        module: "$crate::bindings",
        runtime: "::wit_bindgen::rt",
    },
    Binding {
        wit: "tests/guests/wit-next",
        world: "policy",
        file: "tests/guests/src/bin/new_wit/bindings.rs",
        module: "bindings",
        runtime: "::weir_sdk::rt",
    },
];

/// Writes every generated file below `root`, or with `check` only compares.
///
/// # Errors
/// With `check`, when a file is not what its source generates now.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    for binding in &BINDINGS {
        let text = binding
            .generate(root)
            .with_context(|| format!("bindings of {}", binding.wit))?;
        let path = root.join(binding.file);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        ensure!(
            !check,
            "{} is not what {} says: run `cargo xtask generate`",
            binding.file,
            binding.wit
        );
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, text).with_context(|| binding.file.to_owned())?;
        eprintln!("generate: wrote {}", binding.file);
    }
    Ok(())
}

impl Binding {
    fn generate(&self, root: &Path) -> Result<String> {
        let mut resolve = Resolve::default();
        let (package, _) = match resolve.push_dir(root.join(self.wit)) {
            Ok(package) => package,
            Err(error) => bail!("{}", resolve.render_error(&error)),
        };
        let world = resolve.select_world(&[package], Some(self.world))?;
        let opts = Opts {
            generate_all: true,
            pub_export_macro: true,
            default_bindings_module: Some(self.module.to_owned()),
            runtime_path: Some(self.runtime.to_owned()),
            additional_derive_attributes: vec!["PartialEq".to_owned()],
            ..Opts::default()
        };
        let mut files = Files::default();
        opts.build().generate(&mut resolve, world, &mut files)?;
        let (_, source) = files.iter().next().context("the generator made no file")?;
        let source = std::str::from_utf8(source)?;
        Ok(format!(
            "//! Guest bindings of `{}`: made by `cargo xtask generate`, never edited.\n{source}",
            self.wit
        ))
    }
}

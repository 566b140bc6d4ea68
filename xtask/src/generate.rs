//! Writes generated sources that are committed: the guest bindings of the WIT packages.
//!
//! Guests then compile plain Rust instead of the bindings macro, which costs tens of seconds on a first build.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use wit_bindgen_core::wit_parser::{Resolve, WorldId, WorldKey};
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::{Opts, WithOption};

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
    /// Where the imports come from that another world's bindings have already.
    shared: Option<Shared>,
}

/// Bindings of a world whose imports serve other worlds too, so that a type is the same in all of them.
#[derive(Clone, Copy)]
struct Shared {
    world: &'static str,
    module: &'static str,
}

const BINDINGS: [Binding; 5] = [
    Binding {
        shared: None,
        ..sdk(
            "policy",
            "sdk/rust/src/bindings/policy.rs",
            "$crate::bindings::policy",
        )
    },
    sdk(
        "access-log",
        "sdk/rust/src/bindings/access_log.rs",
        "$crate::bindings::access_log",
    ),
    sdk("l4", "sdk/rust/src/bindings/l4.rs", "$crate::bindings::l4"),
    sdk(
        "background-task",
        "sdk/rust/src/bindings/background.rs",
        "$crate::bindings::background",
    ),
    Binding {
        wit: "tests/guests/wit-next",
        world: "policy",
        file: "tests/guests/src/bin/new_wit/bindings.rs",
        module: "bindings",
        runtime: "::weir_sdk::rt",
        shared: None,
    },
];

const fn sdk(world: &'static str, file: &'static str, module: &'static str) -> Binding {
    Binding {
        wit: "wit/weir-policy",
        world,
        file,
        module,
        runtime: "::wit_bindgen::rt",
        shared: Some(Shared {
            world: "policy",
            module: "crate::bindings::policy",
        }),
    }
}

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
        let with = match self.shared {
            Some(shared) => {
                let other = resolve.select_world(&[package], Some(shared.world))?;
                shared.imports(&resolve, world, other)
            }
            None => Vec::new(),
        };
        let opts = Opts {
            generate_all: true,
            pub_export_macro: true,
            default_bindings_module: Some(self.module.to_owned()),
            runtime_path: Some(self.runtime.to_owned()),
            additional_derive_attributes: vec!["PartialEq".to_owned()],
            with,
            ..Opts::default()
        };
        let mut files = Files::default();
        opts.build().generate(&mut resolve, world, &mut files)?;
        let (_, source) = files.iter().next().context("the generator made no file")?;
        let source = without_import_section(std::str::from_utf8(source)?)?;
        Ok(format!(
            "// @generated\n//! Guest bindings of the world `{}` of `{}`: made by `cargo xtask generate`, never edited.\n{source}",
            self.world, self.wit
        ))
    }
}

impl Shared {
    /// The imports of `world` that `other` has too, each with the module that has it.
    fn imports(self, resolve: &Resolve, world: WorldId, other: WorldId) -> Vec<(String, WithOption)> {
        let imports = |world: WorldId| {
            let world = resolve.worlds.get(world);
            world.into_iter().flat_map(|world| world.imports.keys())
        };
        imports(world)
            .filter(|key| imports(other).any(|theirs| theirs == *key))
            .filter_map(|key| {
                let WorldKey::Interface(id) = key else { return None };
                let module = resolve.interfaces.get(*id)?.name.as_ref()?.replace('-', "_");
                let path = format!("{}::weir::policy::{module}", self.module);
                Some((resolve.name_world_key(key), WithOption::Path(path)))
            })
            .collect()
    }
}

/// Drops the component type that holds a world without its exports, which the generator writes for libraries
/// that only import. Link-time optimisation would put that of every world into every guest; what the export
/// macro writes is all that a guest needs.
fn without_import_section(source: &str) -> Result<String> {
    let (before, rest) = source
        .rsplit_once("-with-all-of-its-exports-removed:encoded world\")]")
        .context("the generator wrote no section of imports")?;
    let (before, _) = before
        .rsplit_once("#[cfg(target_arch = \"wasm32\")]")
        .context("where the section of imports starts")?;
    let (_, rest) = rest
        .split_once("\";\n")
        .context("where the section of imports ends")?;
    Ok(format!("{before}{}", rest.trim_start()))
}

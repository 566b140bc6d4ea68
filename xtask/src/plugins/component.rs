//! Turns one module into a component file, written only when it changed. What the linker made a component
//! stays as it is.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use wit_component::ComponentEncoder;

/// Encodes the module `from` into the component `to`; true when `to` is new or different.
///
/// # Errors
/// When the module carries no component type, or the component does not validate.
pub(super) fn write(from: &Path, to: &Path) -> Result<bool> {
    let module = std::fs::read(from).with_context(|| from.display().to_string())?;
    let component = encode(&module)?;
    if std::fs::read(to).is_ok_and(|old| old == component) {
        return Ok(false);
    }
    let folder = to.parent().context("a component needs a folder")?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    // Beside the target, so that the rename is atomic: a running gateway may be watching it.
    let draft = to.with_extension(format!("wasm.{}", std::process::id()));
    std::fs::write(&draft, &component).with_context(|| draft.display().to_string())?;
    std::fs::rename(&draft, to).with_context(|| to.display().to_string())?;
    Ok(true)
}

fn encode(module: &[u8]) -> Result<Vec<u8>> {
    if module.starts_with(COMPONENT) {
        return Ok(module.to_vec());
    }
    // Without one the encoder would make an empty component of it.
    let has_type = module.windows(SECTION.len()).any(|bytes| bytes == SECTION);
    ensure!(
        has_type,
        "the module exports nothing that a gateway calls: use `weir_sdk::policy!` (or `access_log!`, \
         `connection_filter!`, `background!`) at the root of the crate"
    );
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .context("the module is malformed")?
        .encode()
        .context("the module does not fit its world")
}

/// How the custom section with the module's WIT world is named.
const SECTION: &[u8] = b"component-type:";

/// How a binary starts that is a component already.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

//! From paths to translated objects, for every command that reads manifests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use weir_discovery::ReadError;
use weir_translate::{Diagnostic, Input, Output, Scope, Severity, SourceFile};

/// Manifests, read and translated.
pub(crate) struct Translated {
    pub(crate) output: Output,
    /// Things worth knowing that are no mistakes.
    pub(crate) notices: Vec<Diagnostic>,
    /// Where each object was defined, as `file:line`, by `Kind namespace/name`.
    pub(crate) places: BTreeMap<String, String>,
}

/// Reads, parses and translates.
///
/// # Errors
/// Every mistake in every file and object, one line each.
pub(crate) fn translate(paths: &[PathBuf]) -> Result<Translated, Vec<String>> {
    let lines = |errors: Vec<ReadError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    let files = weir_discovery::read(paths).map_err(lines)?;
    let files: Vec<SourceFile> = files
        .into_iter()
        .map(|file| SourceFile {
            folder: folder(&file.path),
            path: file.path,
            text: file.text,
        })
        .collect();
    let parsed = weir_translate::parse(&files);
    if parsed.has_errors() {
        let errors = parsed
            .diagnostics
            .iter()
            .filter(|it| it.severity == Severity::Error);
        return Err(errors.map(ToString::to_string).collect());
    }
    let output = weir_translate::translate(&Input::new(Scope::Files, parsed.objects));
    Ok(Translated {
        output,
        notices: parsed.diagnostics,
        places: parsed.places,
    })
}

/// The absolute folder of a file, where relative paths in its objects start.
fn folder(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    absolute.parent().map(Path::to_owned).unwrap_or_default()
}

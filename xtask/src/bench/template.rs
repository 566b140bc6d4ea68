//! Configuration files of `tests/load` with their `@NAME@` places filled in.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// Fills in the places of a text. A place that stays is an error: the file and the code disagree.
pub(super) fn fill(text: &str, places: &[(&str, &str)]) -> anyhow::Result<String> {
    let mut filled = text.to_owned();
    for (name, value) in places {
        filled = filled.replace(&format!("@{name}@"), value);
    }
    let open = filled
        .split('@')
        .skip(1)
        .step_by(2)
        .find(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase()));
    ensure!(open.is_none(), "nothing fills in @{}@", open.unwrap_or_default());
    Ok(filled)
}

/// Reads a file of `tests/load` and fills in its places.
pub(super) fn read(root: &Path, name: &str, places: &[(&str, &str)]) -> anyhow::Result<String> {
    let file = root.join("tests/load").join(name);
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    fill(&text, places).with_context(|| format!("tests/load/{name}"))
}

/// Writes a file and the folders it needs; returns its path.
pub(super) fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let file = folder.join(name);
    let parent = file.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_filled_in_or_named() {
        assert_eq!(
            fill("port: @A@, @A@, a@b", &[("A", "1")]).unwrap(),
            "port: 1, 1, a@b"
        );
        let error = fill("port: @LISTEN@", &[("A", "1")]).unwrap_err().to_string();
        assert_eq!(error, "nothing fills in @LISTEN@");
    }
}

//! The part of a document that a bench writes, between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`.

use std::path::Path;

use anyhow::Context;

use crate::command;

/// Where the costs of running plugins are told.
const DOCUMENT: &str = "docs/operate/cost.md";

/// Shows what a bench found, and with `bless` puts it into the document, to be committed.
pub(super) fn publish(root: &Path, name: &str, text: &str, bless: bool) -> anyhow::Result<()> {
    let text = format!("{}\n\n{}\n", text.trim(), machine());
    println!("\n{text}");
    if !bless {
        return Ok(());
    }
    let file = root.join(DOCUMENT);
    let old = std::fs::read_to_string(&file).with_context(|| format!("cannot read {DOCUMENT}"))?;
    let new = replace(&old, name, &text)
        .with_context(|| format!("{DOCUMENT} has no `<!-- bench:{name} -->` with its end below it"))?;
    std::fs::write(&file, new).with_context(|| format!("cannot write {DOCUMENT}"))?;
    eprintln!("wrote {DOCUMENT}; commit it");
    Ok(())
}

fn replace(document: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (
        format!("<!-- bench:{name} -->"),
        format!("<!-- /bench:{name} -->"),
    );
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n{end}{after}", text.trim()))
}

/// What the figures depend on.
fn machine() -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = command::output(std::process::Command::new("uname").arg("-sr")).unwrap_or_default();
    format!("Measured on {processor}, {cores} cores, {}.", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let document =
            "a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb\n<!-- bench:y -->\nkept\n<!-- /bench:y -->\n";
        let expect =
            "a\n<!-- bench:x -->\nnew\n<!-- /bench:x -->\nb\n<!-- bench:y -->\nkept\n<!-- /bench:y -->\n";
        assert_eq!(replace(document, "x", "\nnew\n").unwrap(), expect);
        assert_eq!(replace(expect, "x", "new").unwrap(), expect);
        assert_eq!(replace(document, "z", "new"), None);
        assert_eq!(replace("<!-- bench:x -->", "x", "new"), None);
    }
}

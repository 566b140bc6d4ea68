//! `weir plugin pull`: an artifact into a file, once everything asked for was checked.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context;

use super::{access, source};
use crate::args::Pull;
use crate::report;

pub(super) async fn run(options: &Pull) -> anyhow::Result<()> {
    let source = source::remote(&options.from, &options.registry)?;
    let artifact = access::fetch(source, &options.registry, &options.trust).await?;
    write(&options.output, &artifact.bytes).with_context(|| options.output.display().to_string())?;
    report::note(&format!(
        "{}: {} bytes, {}",
        options.output.display(),
        artifact.bytes.len(),
        artifact.digest
    ));
    report::print(&format!("{}\n", artifact.resolved));
    Ok(())
}

/// Beside it first, then in its place: a gateway that watches the file never sees half of it.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut staged = path.as_os_str().to_owned();
    staged.push(format!(".{}.part", std::process::id()));
    let mut file = std::fs::File::create_new(&staged).context("it cannot be written")?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&staged, path));
    if written.is_err() {
        // The first failure is what matters.
        let _removed = std::fs::remove_file(&staged);
    }
    written.context("it cannot be written")
}

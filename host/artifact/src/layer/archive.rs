//! The Wasm in a tar archive. Reads entry by entry; headers that describe other headers are read here, within a
//! limit, because the library would take them at any size.

use std::io::Read;

use tar::{Archive, Entry, EntryType, Header, PaxExtensions};

use super::LayerError;
use crate::Limits;

/// The name that layouts prescribe.
const PLUGIN: &str = "plugin.wasm";

/// Finds the plugin: `plugin.wasm` at the top, else the only file that ends in `.wasm`.
///
/// # Errors
/// When the archive is damaged, exceeds a limit, plays tricks, or does not hold exactly one plugin.
pub(super) fn unpack(archive: &mut dyn Read, limits: &Limits) -> Result<Vec<u8>, LayerError> {
    let mut archive = Archive::new(archive);
    let entries = archive.entries().map_err(damaged)?.raw(true);
    let mut overrides = Overrides::default();
    let mut found = Found::default();
    let mut count = 0;
    for entry in entries {
        let mut entry = entry.map_err(damaged)?;
        count += 1;
        if count > limits.archive_entries {
            return Err(LayerError::new(format!(
                "its archive has more than {} entries",
                limits.archive_entries
            )));
        }
        match entry.header().entry_type() {
            EntryType::XHeader | EntryType::GNULongName | EntryType::GNULongLink => {
                overrides.read(&mut entry, limits)?;
            }
            // Sizes and names for all that follows: nobody writes them, and they would be a second way to lie.
            EntryType::XGlobalHeader => check_global(&mut entry, limits)?,
            _ => {
                let overrides = std::mem::take(&mut overrides);
                found.visit(&mut entry, overrides, limits)?;
            }
        }
    }
    found.finish()
}

/// What the extended headers before an entry say about it.
#[derive(Default)]
struct Overrides {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Overrides {
    fn read(&mut self, entry: &mut Entry<'_, &mut dyn Read>, limits: &Limits) -> Result<(), LayerError> {
        let kind = entry.header().entry_type();
        let content = read_header(entry, limits)?;
        match kind {
            EntryType::GNULongName => {
                let end = content
                    .iter()
                    .position(|byte| *byte == 0)
                    .unwrap_or(content.len());
                self.path = content.get(..end).map(<[u8]>::to_vec);
            }
            EntryType::XHeader => self.read_pax(&content)?,
            // Where links point to does not matter: none is followed.
            _ => {}
        }
        Ok(())
    }

    fn read_pax(&mut self, content: &[u8]) -> Result<(), LayerError> {
        for record in PaxExtensions::new(content) {
            let record = record.map_err(damaged)?;
            match record.key_bytes() {
                b"path" => self.path = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let size = record.value().ok().and_then(|value| value.parse().ok());
                    self.size = Some(
                        size.ok_or_else(|| LayerError::new("its archive has a size that is no number"))?,
                    );
                }
                key if key.starts_with(b"GNU.sparse.") => return Err(sparse()),
                _ => {}
            }
        }
        Ok(())
    }
}

fn check_global(entry: &mut Entry<'_, &mut dyn Read>, limits: &Limits) -> Result<(), LayerError> {
    let content = read_header(entry, limits)?;
    for record in PaxExtensions::new(&content) {
        let record = record.map_err(damaged)?;
        let key = record.key_bytes();
        if matches!(key, b"path" | b"size") || key.starts_with(b"GNU.sparse.") {
            return Err(LayerError::new(
                "its archive has a global header with a path or size, which is refused",
            ));
        }
    }
    Ok(())
}

fn read_header(entry: &mut Entry<'_, &mut dyn Read>, limits: &Limits) -> Result<Vec<u8>, LayerError> {
    let size = entry.size();
    if size > limits.archive_header_bytes {
        return Err(LayerError::new(format!(
            "its archive has an extended header of {size} bytes; the limit is {}",
            limits.archive_header_bytes
        )));
    }
    read_whole(entry, size)
}

/// The plugin so far. Holds one file at most.
#[derive(Default)]
struct Found {
    /// The prescribed one.
    plugin: Option<Vec<u8>>,
    /// The first other `.wasm`.
    other: Option<Vec<u8>>,
    /// How many others there are.
    others: usize,
}

impl Found {
    fn visit(
        &mut self,
        entry: &mut Entry<'_, &mut dyn Read>,
        overrides: Overrides,
        limits: &Limits,
    ) -> Result<(), LayerError> {
        if entry.header().entry_type() == EntryType::GNUSparse {
            return Err(sparse());
        }
        if overrides.size.is_some_and(|size| size != entry.size()) {
            return Err(LayerError::new("its archive gives two sizes for one file"));
        }
        let path = overrides.path.unwrap_or_else(|| path(entry.header()));
        let path = String::from_utf8_lossy(&path);
        let Some(name) = normal(&path)? else {
            return Ok(());
        };
        if !name.ends_with(".wasm") {
            return Ok(());
        }
        if !entry.header().entry_type().is_file() {
            return match entry.header().entry_type() {
                EntryType::Directory => Ok(()),
                _ => Err(LayerError::new(format!("{name} is a link or device, not a file"))),
            };
        }
        self.take(name, entry, limits)
    }

    fn take(
        &mut self,
        name: &str,
        entry: &mut Entry<'_, &mut dyn Read>,
        limits: &Limits,
    ) -> Result<(), LayerError> {
        let size = entry.size();
        if size > limits.wasm_bytes {
            return Err(LayerError::new(format!(
                "{name} has {size} bytes; the limit is {}",
                limits.wasm_bytes
            )));
        }
        if name == PLUGIN {
            if self.plugin.is_some() {
                return Err(LayerError::new(format!("its archive has {PLUGIN} twice")));
            }
            // It wins in any case: no need to hold both.
            self.other = None;
            self.plugin = Some(read_whole(entry, size)?);
        } else {
            self.others += 1;
            if self.plugin.is_none() && self.others == 1 {
                self.other = Some(read_whole(entry, size)?);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<u8>, LayerError> {
        match (self.plugin, self.other, self.others) {
            (Some(plugin), _, _) => Ok(plugin),
            (None, Some(only), 1) => Ok(only),
            (None, _, 0) => Err(LayerError::new(format!("its archive has no {PLUGIN}"))),
            (None, _, count) => Err(LayerError::new(format!(
                "its archive has {count} .wasm files and none is {PLUGIN}"
            ))),
        }
    }
}

/// The entry's path below the top, without `./`; `None` for the top itself.
fn normal(path: &str) -> Result<Option<&str>, LayerError> {
    let shown = || {
        path.chars()
            .take(80)
            .collect::<String>()
            .escape_debug()
            .to_string()
    };
    if path.contains('\0') || path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(LayerError::new(format!(
            "its archive has a path that leads outside: `{}`",
            shown()
        )));
    }
    let mut name = path;
    while let Some(rest) = name.strip_prefix("./") {
        name = rest.trim_start_matches('/');
    }
    Ok((!name.is_empty() && name != ".").then_some(name))
}

/// The path of the entry's own header, prefix included.
fn path(header: &Header) -> Vec<u8> {
    header.path_bytes().into_owned()
}

/// Reads exactly `size` bytes, growing as they come: a header's claim allocates nothing.
fn read_whole(entry: &mut Entry<'_, &mut dyn Read>, size: u64) -> Result<Vec<u8>, LayerError> {
    let mut content = Vec::new();
    entry.take(size).read_to_end(&mut content).map_err(damaged)?;
    if content.len() as u64 == size {
        Ok(content)
    } else {
        Err(LayerError::new("its archive ends within a file"))
    }
}

fn sparse() -> LayerError {
    LayerError::new("its archive has a sparse file; write it without --sparse")
}

fn damaged(error: std::io::Error) -> LayerError {
    // The library wraps a reader's error; ours say what limit was exceeded.
    let mut cause: &(dyn std::error::Error + 'static) = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    if text.starts_with("it ") {
        LayerError(text)
    } else {
        LayerError(format!("its archive is damaged: {text}"))
    }
}

//! From a layer's bytes to the Wasm in it. Pure: reads no disk and no network, and keeps no more than the Wasm.

mod archive;
mod gzip;

use std::io::Read;

use crate::Limits;

/// Why a layer holds no Wasm that can be used. The text names the fix where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LayerError(pub(crate) String);

impl LayerError {
    fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

/// How a layer's archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, of one or several members.
    Gzip,
}

/// Finds the Wasm file in a layer's tar archive, decompressing on the way.
///
/// # Errors
/// When the archive is damaged, exceeds a limit, plays tricks, or does not hold exactly one plugin.
pub fn unpack(layer: &[u8], compression: Compression, limits: &Limits) -> Result<Vec<u8>, LayerError> {
    match compression {
        Compression::None => archive::unpack(&mut bounded(layer, limits), limits),
        Compression::Gzip => archive::unpack(&mut gzip::decoder(layer, limits), limits),
    }
}

/// Decompresses a whole gzip stream within the limits.
///
/// # Errors
/// When the stream is damaged or exceeds a limit.
pub fn decompress(compressed: &[u8], limits: &Limits) -> Result<Vec<u8>, LayerError> {
    let mut out = Vec::new();
    gzip::decoder(compressed, limits)
        .read_to_end(&mut out)
        .map_err(|error| LayerError::new(error.to_string()))?;
    Ok(out)
}

fn bounded(layer: &[u8], limits: &Limits) -> impl Read {
    gzip::Bounded::new(layer, limits, |_| None)
}

/// Fails unless the bytes start as Wasm does: a web page or an archive is told apart before anyone compiles it.
///
/// # Errors
/// When they do not.
pub fn check_wasm(bytes: &[u8]) -> Result<(), LayerError> {
    if bytes.starts_with(b"\0asm") {
        Ok(())
    } else if bytes.is_empty() {
        Err(LayerError::new("it is empty"))
    } else if bytes.starts_with(b"<") {
        Err(LayerError::new("it is not Wasm but looks like a web page"))
    } else {
        Err(LayerError::new(
            "it is not Wasm (the first bytes are not `\\0asm`)",
        ))
    }
}

#[cfg(test)]
mod tests;

//! Capability `sink`: append-only outputs. The gateway opens and drains them; a plugin only queues records.

use std::fmt;
use std::io;
use std::sync::Arc;

use wasmtime::Result;
use wasmtime::component::WasmList;

use super::{Caller, Functions};
use crate::bindings::sink::Error;

/// An open output.
pub trait Sink: Send + Sync + fmt::Debug {
    /// Queues one record. Never waits.
    ///
    /// # Errors
    /// When the record is dropped; the sink counts it.
    fn write(&self, record: &[u8]) -> std::result::Result<(), SinkError>;
}

/// Why a record was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The queue is full.
    #[error("the queue is full")]
    Full,
    /// One record may not be this large.
    #[error("the record is too large")]
    TooLarge,
}

/// Opens the outputs that filters are granted.
pub trait SinkOpener: Send + Sync {
    /// Opens `/dev/stdout`, `/dev/stderr` or an absolute file path; the same output for the same path.
    ///
    /// # Errors
    /// When it cannot be written.
    fn open(&self, path: &str) -> io::Result<Arc<dyn Sink>>;
}

pub(super) fn link(functions: &mut Functions<'_>) -> Result<()> {
    functions.func_wrap(
        "write",
        |store: Caller<'_>, (index, record): (u32, WasmList<u8>)| {
            let used = store.data().current();
            let sink = used.and_then(|it| it.sinks.get(usize::try_from(index).ok()?));
            let written = match sink {
                None => Err(Error::Unknown),
                Some(_) if store.data().is_shadow() => Ok(()),
                Some(sink) => sink
                    .write(record.as_le_slice(&store))
                    .map_err(|error| match error {
                        SinkError::Full => Error::Full,
                        SinkError::TooLarge => Error::TooLarge,
                    }),
            };
            Ok((written,))
        },
    )
}

//! Standard output and error of a handler: lines in the gateway's log, within the plugin's limit.

use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::bindings::log::Level;
use crate::capability::{log_enabled, log_line};
use crate::state::Use;

/// A longer line is written in parts.
const LONGEST_PART: usize = 4 << 10;

/// One of the two outputs. All streams of it share the line that is not complete yet.
#[derive(Clone)]
pub(super) struct Output(Arc<Lines>);

struct Lines {
    used: Arc<Use>,
    level: Level,
    part: Mutex<Vec<u8>>,
}

impl Output {
    pub(super) fn new(used: &Arc<Use>, level: Level) -> Self {
        Self(Arc::new(Lines {
            used: Arc::clone(used),
            level,
            part: Mutex::default(),
        }))
    }
}

impl Lines {
    fn push(&self, mut bytes: &[u8]) {
        if !log_enabled(self.level) {
            return;
        }
        let mut part = self.part.lock().unwrap_or_else(PoisonError::into_inner);
        while !bytes.is_empty() {
            let room = LONGEST_PART.saturating_sub(part.len()).min(bytes.len());
            let (here, _) = bytes.split_at(room);
            let end = here.iter().position(|byte| *byte == b'\n');
            let (line, rest) = bytes.split_at(end.unwrap_or(room));
            part.extend_from_slice(line);
            if end.is_some() || part.len() >= LONGEST_PART {
                self.write(&mem::take(&mut *part));
            }
            bytes = rest.get(usize::from(end.is_some())..).unwrap_or_default();
        }
    }

    fn write(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        log_line(Some(&self.used), self.level, line.trim_end_matches('\r'));
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let part = mem::take(self.part.get_mut().unwrap_or_else(PoisonError::into_inner));
        if !part.is_empty() {
            self.write(&part);
        }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LONGEST_PART)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

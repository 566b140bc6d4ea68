//! Append-only outputs for access logs: a bounded queue and one writer thread per path.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use weir_runtime::{Sink, SinkError, SinkOpener};

/// Records waiting for one writer; more are dropped and counted.
const QUEUE: usize = 16 * 1024;

/// The largest record.
const MAX_RECORD: usize = 64 * 1024;

/// Opens each path once, for all filters that write to it. A sink that nobody uses any more is closed at the next
/// opening, or with this: closing waits for its writer, which no worker may.
#[derive(Debug, Default)]
pub struct FileSinks {
    open: Mutex<HashMap<String, Arc<FileSink>>>,
}

impl SinkOpener for FileSinks {
    fn open(&self, path: &str) -> io::Result<Arc<dyn Sink>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|known, sink| known == path || Arc::strong_count(sink) > 1);
        if let Some(sink) = open.get(path) {
            return Ok(Arc::clone(sink) as Arc<dyn Sink>);
        }
        let sink = Arc::new(FileSink::open(path)?);
        open.insert(path.to_owned(), Arc::clone(&sink));
        Ok(sink)
    }
}

/// Opens nothing and keeps nothing: for checking a configuration without running it.
#[derive(Clone, Copy, Debug)]
pub struct NoSinks;

impl SinkOpener for NoSinks {
    fn open(&self, _path: &str) -> io::Result<Arc<dyn Sink>> {
        Ok(Arc::new(Self))
    }
}

impl Sink for NoSinks {
    fn write(&self, _record: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }
}

/// One output.
#[derive(Debug)]
struct FileSink {
    queue: Option<SyncSender<Box<[u8]>>>,
    dropped: Arc<AtomicU64>,
    writer: Option<JoinHandle<()>>,
}

impl FileSink {
    fn open(path: &str) -> io::Result<Self> {
        // The process's own streams may be sockets, which cannot be opened by path.
        let output: Box<dyn Write + Send> = match path {
            "/dev/stdout" => Box::new(io::stdout()),
            "/dev/stderr" => Box::new(io::stderr()),
            _ => Box::new(OpenOptions::new().append(true).create(true).open(path)?),
        };
        let (queue, records) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = std::thread::Builder::new().name("sink".to_owned()).spawn({
            let (path, dropped) = (path.to_owned(), Arc::clone(&dropped));
            move || write_records(&path, output, &records, &dropped)
        })?;
        Ok(Self {
            queue: Some(queue),
            dropped,
            writer: Some(writer),
        })
    }
}

impl Sink for FileSink {
    fn write(&self, record: &[u8]) -> Result<(), SinkError> {
        if record.len() > MAX_RECORD {
            return Err(SinkError::TooLarge);
        }
        let sent = self.queue.as_ref().map(|queue| queue.try_send(record.into()));
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) | None => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                Err(SinkError::Full)
            }
        }
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        // Closing the queue lets the writer finish what waits in it.
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so on stderr.
            let _ = writer.join();
        }
    }
}

fn write_records(
    path: &str,
    output: Box<dyn Write + Send>,
    records: &Receiver<Box<[u8]>>,
    dropped: &AtomicU64,
) {
    let mut output = BufWriter::with_capacity(64 * 1024, output);
    while let Ok(record) = records.recv() {
        let mut written = output.write_all(&record);
        // Flush once per burst: when the queue is empty, nobody waits for a fuller buffer.
        while written.is_ok() {
            let Ok(record) = records.try_recv() else { break };
            written = output.write_all(&record);
        }
        if let Err(error) = written.and_then(|()| output.flush()) {
            tracing::error!(path, %error, "cannot write access log records");
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(path, lost, "the queue was full: access log records were dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_arrive_in_order_and_before_the_sink_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let sinks = FileSinks::default();
        let sink = sinks.open(path.to_str().unwrap()).unwrap();
        for n in 0..1000 {
            sink.write(format!("{n}\n").as_bytes()).unwrap();
        }
        drop((sink, sinks));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.lines().map(|line| line.parse::<u32>().unwrap()).eq(0..1000));
    }

    #[test]
    fn two_filters_share_one_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let sinks = FileSinks::default();
        let first = sinks.open(path.to_str().unwrap()).unwrap();
        let second = sinks.open(path.to_str().unwrap()).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn an_oversized_record_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let sink = FileSinks::default()
            .open(dir.path().join("x").to_str().unwrap())
            .unwrap();
        assert!(matches!(
            sink.write(&vec![b'x'; MAX_RECORD + 1]),
            Err(SinkError::TooLarge)
        ));
    }
}

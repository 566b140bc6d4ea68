//! What a cold start costs: from the bytes of a plugin to its first answer, with and without the disk cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use weir_filter::Phase;

use crate::bed::{Bed, Visit, chain_filter, component, plugin, worker};
use crate::round::{median, nanoseconds, table};

const ROUNDS: usize = 5;

pub(crate) fn run() {
    table(
        "A cold start",
        &[
            "plugin",
            "KiB",
            "loaded without cache: ms",
            "loaded from the cache: ms",
            "its first filter: µs",
            "first call of a worker: µs",
        ],
    );
    for guest in ["headers", "costs"] {
        row(guest, &component(guest), Some(""));
    }
    let large = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/wasm/plugins/transformation.wasm");
    // Its configurations are another story: it stands for a large component.
    row("transformation", &fs::read(large).unwrap(), None);
}

fn row(name: &str, bytes: &[u8], config: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    start(name, bytes, config, Some(cache.clone()));
    let (compiled, mapped): (Vec<_>, Vec<_>) = (0..ROUNDS)
        .map(|_| {
            let compiled = start(name, bytes, config, None);
            (compiled, start(name, bytes, config, Some(cache.clone())))
        })
        .unzip();
    let loaded = |starts: &[Start]| median(&mut starts.iter().map(|it| it.load).collect::<Vec<_>>());
    let (slow, fast) = (loaded(&compiled), loaded(&mapped));
    let all: Vec<_> = compiled.into_iter().chain(mapped).collect();
    let micros = |of: fn(&Start) -> f64| {
        let value = median(&mut all.iter().map(of).collect::<Vec<_>>());
        config.map_or_else(|| "-".to_owned(), |_| format!("{:.0}", value / 1e3))
    };
    println!(
        "| {name} | {} | {:.1} | {:.1} | {} | {} |",
        bytes.len() / 1024,
        slow / 1e6,
        fast / 1e6,
        micros(|it| it.filter),
        micros(|it| it.call)
    );
}

/// Nanoseconds of the steps of a start.
struct Start {
    load: f64,
    filter: f64,
    call: f64,
}

fn start(name: &str, bytes: &[u8], config: Option<&str>, cache: Option<PathBuf>) -> Start {
    let (bed, worker) = (Bed::new(cache), worker());
    let since = Instant::now();
    let loaded = bed.runtime.load(&plugin(name), bytes).unwrap();
    let load = nanoseconds(since);
    let Some(config) = config else {
        return Start {
            load,
            filter: f64::NAN,
            call: f64::NAN,
        };
    };
    let since = Instant::now();
    let filter = loaded.filter(&chain_filter(config)).unwrap();
    let made = nanoseconds(since);
    let visit = Visit::new(None);
    let since = Instant::now();
    let visit = worker.block_on(visit.call(&*filter, Phase::RequestHead));
    let call = nanoseconds(since);
    drop(visit);
    Start {
        load,
        filter: made,
        call,
    }
}

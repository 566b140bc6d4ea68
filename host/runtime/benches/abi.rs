//! What the shape of the contract costs: the same small policy as plain functions with predicates (the contract's
//! shape), and as the alternatives that it was chosen over.
//!
//! It builds its own guest, `weir-abi-guest`, and prints a table of medians, interleaved over all shapes.

#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a bench ends with its first failure"
)]

use std::collections::HashMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;
use std::{env, fs, io, mem};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::runtime::Builder;
use wasmtime::component::{Component, Linker, Resource, WasmList, WasmStr};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, StoreContextMut,
};
use weir_filter::{Call, Exchange, Facts, Filter, Phase, Progress, RequestHead};
use weir_kv::Store as KvStore;
use weir_model::{
    ChainFilter, FailureMode, Isolation, Limits, Plugin, PluginIndex, PluginSource, Recycle, Rollout, Stage,
};
use weir_runtime::{EngineConfig, Runtime, RuntimeConfig, Sink, SinkOpener};
use weir_telemetry::Registry;

mod generated {
    wasmtime::component::bindgen!({
        path: "benches/abi-guest/shapes.wit",
        world: "shapes",
        with: { "weir:abi/lent.message": super::Lent },
    });
}

use generated::weir::abi::types::Field;
use generated::{Shapes, ShapesPre};

fn main() {
    let module = module();
    let bytes = wit_component::ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .encode()
        .unwrap();
    println!(
        "{:<66} {:>9} {:>7}",
        "shape, 20 fields in the request", "ns/call", "ratio"
    );
    let ours = shapes(&bytes);
    whole_runtime(ours);
}

/// One shape: its name in the table, and one call of it.
type Shape = (&'static str, fn(&mut Host));

const SHAPES: [Shape; 8] = [
    ("plain functions and predicates (weir:policy)", |host| {
        black_box(host.shapes.call_predicates(&mut host.store).unwrap());
    }),
    ("plain functions without predicates", |host| {
        black_box(host.shapes.call_functions(&mut host.store).unwrap());
    }),
    ("plain functions, all fields read as one block of bytes", |host| {
        black_box(host.shapes.call_block(&mut host.store).unwrap());
    }),
    ("all fields by value, as a list built for the call", |host| {
        let fields = host.store.data().fields.iter().map(|(name, value)| Field {
            name: name.as_str().to_owned(),
            value: value.as_bytes().to_vec(),
        });
        let fields: Vec<_> = fields.collect();
        black_box(host.shapes.call_by_value(&mut host.store, PATH, &fields).unwrap());
    }),
    ("methods of a borrowed resource", |host| {
        let lent = Resource::<Lent>::new_borrow(0);
        black_box(host.shapes.call_borrowed(&mut host.store, lent).unwrap());
    }),
    ("edits returned in a record of lists", |host| {
        let decision = host.shapes.call_decided(&mut host.store).unwrap();
        for edit in &decision.edits {
            set(&mut host.store.data_mut().fields, &edit.name, &edit.value);
        }
        black_box(decision.reply);
    }),
    (
        "plain functions and predicates, a fresh instance per call",
        |host| {
            // The request comes from outside, so its fields are lent and not made anew.
            let lent = mem::take(&mut host.store.data_mut().fields);
            let mut store = store(host.pre.engine(), lent);
            let shapes = host.pre.instantiate(&mut store).unwrap();
            black_box(shapes.call_predicates(&mut store).unwrap());
            host.store.data_mut().fields = mem::take(&mut store.data_mut().fields);
        },
    ),
    ("an empty call", |host| {
        black_box(host.shapes.call_nothing(&mut host.store).unwrap());
    }),
];

/// Measures every shape in turn, several rounds of all, so that a busy moment touches each alike.
fn shapes(bytes: &[u8]) -> f64 {
    let mut host = Host::start(bytes);
    let mut samples = SHAPES.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for ((_, call), samples) in SHAPES.iter().zip(&mut samples) {
            samples.push(time(CALLS, || call(&mut host)));
        }
    }
    let medians: Vec<f64> = samples.iter_mut().map(|it| median(it)).collect();
    let ours = medians.first().copied().unwrap_or(f64::NAN);
    for ((name, _), median) in SHAPES.iter().zip(medians) {
        row(name, median, ours);
    }
    ours
}

/// The test guest `headers` through the whole runtime: lease, slot, deadline and exchange included.
fn whole_runtime(ours: f64) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/wasm/tests/headers.wasm"
    );
    let Ok(bytes) = fs::read(path) else {
        println!("(no {path}: run `cargo xtask plugins` to measure the whole runtime too)");
        return;
    };
    let runtime = Runtime::new(RuntimeConfig {
        engine: EngineConfig::default(),
        cache_dir: None,
        sinks: Arc::new(NoSinks),
        environment: Arc::new(HashMap::new()),
        store: Arc::new(KvStore::new()),
        registry: Registry::new(),
    });
    let filter = runtime
        .unwrap()
        .load(&plugin(), &bytes)
        .unwrap()
        .filter(&chain_filter())
        .unwrap();
    let request = RequestHead {
        headers: fields(),
        ..RequestHead::default()
    };
    let mut exchange = Some(Exchange::new(request, Facts::default()));
    // A call that a tick interrupts sets a timer.
    let worker = Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = worker.enter();
    let mut samples: Vec<_> = (0..ROUNDS)
        .map(|_| {
            time(CALLS, || {
                call(&*filter, Phase::RequestHead, &mut exchange);
                call(&*filter, Phase::ResponseHead, &mut exchange);
            })
        })
        .collect();
    row(
        "header policy through weir-runtime: both heads, one field each",
        median(&mut samples),
        ours,
    );
}

/// One phase call that does not wait.
fn call(filter: &dyn Filter, phase: Phase, exchange: &mut Option<Exchange>) {
    let call = Call {
        phase,
        exchange: exchange.take().unwrap(),
        kept: None,
    };
    match filter.call(call, &mut Context::from_waker(Waker::noop())) {
        Progress::Done(finished) => {
            black_box(finished.result.unwrap());
            *exchange = Some(finished.exchange);
        }
        // A tick has passed: it is not the policy's cost.
        Progress::Waiting(waiting) => *exchange = Some(waiting.abandon()),
    }
}

struct Host {
    store: Store<State>,
    shapes: Shapes,
    pre: ShapesPre<State>,
}

struct State {
    fields: HeaderMap,
}

/// Stands for the lent exchange; there is only one, so a handle carries nothing.
pub struct Lent;

impl Host {
    fn start(bytes: &[u8]) -> Self {
        let engine = engine();
        let component = Component::from_binary(&engine, bytes).unwrap();
        let pre = ShapesPre::new(linker(&engine).unwrap().instantiate_pre(&component).unwrap()).unwrap();
        let mut store = store(&engine, fields());
        let shapes = pre.instantiate(&mut store).unwrap();
        Self { store, shapes, pre }
    }
}

/// The settings of the runtime's own engine.
fn engine() -> Engine {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(16)
        .max_memory_size(64 << 20)
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto)
        .decommit_batch_size(16);
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).unwrap()
}

fn store(engine: &Engine, fields: HeaderMap) -> Store<State> {
    let mut store = Store::new(engine, State { fields });
    store.set_epoch_deadline(u64::MAX / 2);
    store
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    type Caller<'a> = StoreContextMut<'a, State>;
    let mut linker = Linker::new(engine);
    linker.instance("weir:abi/types")?;
    let mut plain = linker.instance("weir:abi/plain")?;
    plain.func_wrap("header", |store: Caller<'_>, (name,): (WasmStr,)| {
        Ok((store
            .data()
            .fields
            .get(&*name.to_str(&store)?)
            .map(|value| value.as_bytes().to_vec()),))
    })?;
    plain.func_wrap(
        "header-is",
        |store: Caller<'_>, (name, value): (WasmStr, WasmStr)| {
            let value = value.to_str(&store)?;
            Ok((store
                .data()
                .fields
                .get(&*name.to_str(&store)?)
                .is_some_and(|it| it == value.as_bytes()),))
        },
    )?;
    plain.func_wrap("path", |_: Caller<'_>, (): ()| Ok((PATH.to_owned(),)))?;
    plain.func_wrap("path-starts-with", |store: Caller<'_>, (prefix,): (WasmStr,)| {
        Ok((PATH.starts_with(&*prefix.to_str(&store)?),))
    })?;
    plain.func_wrap(
        "set-header",
        |mut store: Caller<'_>, (name, value): (WasmStr, WasmList<u8>)| {
            let name = HeaderName::from_bytes(name.to_str(&store)?.as_bytes())?;
            let value = HeaderValue::from_bytes(value.as_le_slice(&store))?;
            store.data_mut().fields.insert(name, value);
            Ok(())
        },
    )?;
    plain.func_wrap("headers-block", |store: Caller<'_>, (): ()| {
        Ok((block(&store.data().fields),))
    })?;
    let mut lent = linker.instance("weir:abi/lent")?;
    lent.resource(
        "message",
        wasmtime::component::ResourceType::host::<Lent>(),
        |_, _| Ok(()),
    )?;
    lent.func_wrap(
        "[method]message.header",
        |store: Caller<'_>, (_, name): (Resource<Lent>, WasmStr)| {
            Ok((store
                .data()
                .fields
                .get(&*name.to_str(&store)?)
                .map(|value| value.as_bytes().to_vec()),))
        },
    )?;
    lent.func_wrap(
        "[method]message.path",
        |_: Caller<'_>, (_,): (Resource<Lent>,)| Ok((PATH.to_owned(),)),
    )?;
    lent.func_wrap(
        "[method]message.set-header",
        |mut store: Caller<'_>, (_, name, value): (Resource<Lent>, WasmStr, WasmList<u8>)| {
            let name = HeaderName::from_bytes(name.to_str(&store)?.as_bytes())?;
            let value = HeaderValue::from_bytes(value.as_le_slice(&store))?;
            store.data_mut().fields.insert(name, value);
            Ok(())
        },
    )?;
    Ok(linker)
}

fn set(fields: &mut HeaderMap, name: &str, value: &[u8]) {
    fields.insert(
        HeaderName::from_bytes(name.as_bytes()).unwrap(),
        HeaderValue::from_bytes(value).unwrap(),
    );
}

fn block(fields: &HeaderMap) -> Vec<u8> {
    let mut block = Vec::with_capacity(1024);
    for (name, value) in fields {
        block.extend_from_slice(&u16::try_from(name.as_str().len()).unwrap().to_le_bytes());
        block.extend_from_slice(&u32::try_from(value.len()).unwrap().to_le_bytes());
        block.extend_from_slice(name.as_str().as_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    block
}

/// Twenty fields with the lengths that browsers send.
fn fields() -> HeaderMap {
    let mut fields = HeaderMap::new();
    for at in 0..19 {
        set(
            &mut fields,
            &format!("x-field-number-{at}"),
            &vec![b'v'; 8 + at * 3],
        );
    }
    set(&mut fields, "x-api-key", b"secret");
    fields
}

fn plugin() -> Plugin {
    Plugin {
        name: "bench/headers".to_owned(),
        source: PluginSource::Builtin("headers".to_owned()),
        digest: None,
        signature: None,
        capabilities: Vec::new(),
        limits: Limits::DEFAULT,
        isolation: Isolation::Warm,
        rollout: Rollout::Replace,
        recycle: Recycle::DEFAULT,
        backends: Vec::new(),
    }
}

fn chain_filter() -> ChainFilter {
    ChainFilter {
        name: "headers".to_owned(),
        plugin: PluginIndex(0),
        config: b"bench".to_vec(),
        stage: Stage::Accepted,
        failure_mode: FailureMode::Closed,
        capabilities: Vec::new(),
        limits: Limits::DEFAULT,
        isolation: Isolation::Warm,
        backends: Vec::new(),
        origin: Vec::new(),
    }
}

struct NoSinks;

impl SinkOpener for NoSinks {
    fn open(&self, path: &str) -> io::Result<Arc<dyn Sink>> {
        Err(io::Error::other(format!("no sink {path} in a bench")))
    }
}

/// Nanoseconds of one call, over a batch.
fn time(calls: u32, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        call();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

fn row(name: &str, nanoseconds: f64, ours: f64) {
    println!("{name:<66} {nanoseconds:>9.0} {:>7.2}", nanoseconds / ours);
}

/// Builds the guest, next to the other guests of the repository.
fn module() -> Vec<u8> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let folder = PathBuf::from(root).join("target/wasm/build");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root)
        .args([
            "build",
            "--quiet",
            "--profile",
            "guest",
            "--target",
            TARGET,
            "--package",
            "weir-abi-guest",
        ])
        .arg("--target-dir")
        .arg(&folder)
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the guest of this bench does not build"
    );
    fs::read(folder.join(TARGET).join("guest/weir_abi_guest.wasm")).unwrap()
}

const TARGET: &str = "wasm32-unknown-unknown";
const PATH: &str = "/api/v1/things?page=2";
const ROUNDS: usize = 201;
const CALLS: u32 = 500;

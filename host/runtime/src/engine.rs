//! The engine all plugins share, and the thread that keeps its time.
//!
//! The settings are the measured ones: no concurrency support (it doubles the cost of a call), pooled
//! instances, 4 GiB reservations instead of bounds checks, epochs instead of fuel.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, Inlining, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::RuntimeError;
use crate::code::Code;
use crate::fault::Fault;

/// Sizes of the engine. The default suits a gateway; [`EngineConfig::small`] suits tools that cannot bear
/// large address reservations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Instances alive at once, over all plugins and workers.
    pub instances: u32,
    /// Address space reserved for one linear memory. Below 4 GiB every access is checked.
    pub memory_reservation: u64,
    /// Largest linear memory; a filter's own limit is at most this.
    pub largest_memory: u64,
    /// Elements of one table.
    pub table_elements: u32,
    /// Memory of an instance that stays mapped when its place in the pool is free.
    pub keep_resident: usize,
    /// Stack of one call.
    pub stack: usize,
    /// Time between two ticks: how long a guest runs before others of its worker have their turn.
    pub tick: Duration,
}

impl EngineConfig {
    /// Time for making an instance and for its `configure`, where a filter's own deadline is shorter.
    pub(crate) const START_DEADLINE: Duration = Duration::from_secs(1);

    /// Reserves little: for valgrind, for tests and for many runtimes in one process.
    pub fn small() -> Self {
        Self {
            instances: 16,
            memory_reservation: 64 << 20,
            largest_memory: 64 << 20,
            ..Self::default()
        }
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            instances: 4000,
            memory_reservation: 4 << 30,
            largest_memory: 256 << 20,
            table_elements: 20_000,
            keep_resident: 256 << 10,
            stack: 256 << 10,
            tick: Duration::from_millis(1),
        }
    }
}

/// The engine with its running clock. Everything that can run a guest holds one, so the clock never stops
/// under a guest.
#[derive(Debug)]
pub(crate) struct TickingEngine {
    engine: Engine,
    config: EngineConfig,
    stop: Option<Sender<()>>,
    ticker: Option<JoinHandle<()>>,
    clock: Ticks,
    /// Whose idle instances may be dropped when the pool is full.
    codes: Mutex<Vec<Weak<Code>>>,
}

/// Ticks since the engine started: a clock that costs next to nothing to read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ticks(Arc<AtomicU64>);

impl Ticks {
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl TickingEngine {
    pub(crate) fn start(config: EngineConfig) -> Result<Self, RuntimeError> {
        let engine = Engine::new(&settings(&config)).map_err(RuntimeError::Engine)?;
        let (stop, stopped) = mpsc::channel();
        let (clock, tick) = (engine.clone(), config.tick);
        let ticks = Ticks::default();
        let count = ticks.clone();
        let ticker = thread::Builder::new()
            .name("weir-epoch".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                    clock.increment_epoch();
                    count.0.fetch_add(1, Ordering::Relaxed);
                }
            })
            .map_err(RuntimeError::Ticker)?;
        Ok(Self {
            engine,
            config,
            stop: Some(stop),
            ticker: Some(ticker),
            clock: ticks,
            codes: Mutex::default(),
        })
    }

    pub(crate) fn clock(&self) -> Ticks {
        self.clock.clone()
    }

    /// Code whose idle instances may make way for others.
    pub(crate) fn register(&self, code: &Arc<Code>) {
        let mut codes = self.codes();
        codes.retain(|it| it.strong_count() > 0);
        codes.push(Arc::downgrade(code));
    }

    /// Starts an instance. When there is no place left, idle ones of this thread make way.
    pub(crate) async fn with_room<T>(&self, start: impl AsyncFn() -> Result<T, Fault>) -> Result<T, Fault> {
        match start().await {
            Err(fault) if !fault.is_of_plugin() && self.reclaim() => start().await,
            started => started,
        }
    }

    /// Drops the idle instances of this thread; true when there were any.
    fn reclaim(&self) -> bool {
        let codes: Vec<_> = self.codes().iter().filter_map(Weak::upgrade).collect();
        codes.iter().map(|code| code.release_idle()).sum::<usize>() > 0
    }

    fn codes(&self) -> MutexGuard<'_, Vec<Weak<Code>>> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) const fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// A duration in ticks, rounded up.
    pub(crate) fn ticks(&self, duration: Duration) -> u64 {
        let tick = self.config.tick.as_nanos().max(1);
        u64::try_from(duration.as_nanos().div_ceil(tick)).unwrap_or(u64::MAX)
    }
}

impl Drop for TickingEngine {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(ticker) = self.ticker.take() {
            // It panics nowhere; there would be nothing to do about it here either.
            let _ended = ticker.join();
        }
    }
}

fn settings(config: &EngineConfig) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(config.instances)
        .total_core_instances(config.instances.saturating_mul(4))
        .total_memories(config.instances.saturating_mul(2))
        .total_tables(config.instances.saturating_mul(4))
        .total_stacks(config.instances)
        .max_memory_size(usize::try_from(config.largest_memory).unwrap_or(usize::MAX))
        .max_memories_per_component(4)
        .max_tables_per_component(8)
        .max_core_instances_per_component(32)
        .table_elements(config.table_elements as usize)
        .linear_memory_keep_resident(config.keep_resident)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto)
        .decommit_batch_size(16);
    let mut settings = Config::new();
    settings
        .concurrency_support(false)
        .epoch_interruption(true)
        .consume_fuel(false)
        .compiler_inlining(Inlining::No)
        .max_wasm_stack(config.stack)
        .async_stack_size(config.stack.saturating_mul(2))
        .memory_reservation(config.memory_reservation)
        .memory_may_move(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    settings
}

//! One instance of a plugin: its store, its exports, and how a call is run on it.

use std::mem;
use std::sync::Arc;

use wasmtime::Store;
use weir_filter::{Exchange, FailureReason};
use weir_telemetry::{LiveInstance, PluginTelemetry};

use crate::budget::{CpuBudget, SLICE};
use crate::engine::{TickingEngine, Ticks};
use crate::export::{Exports, Manifest, Template};
use crate::fault::Fault;
use crate::limits::MemoryMeter;
use crate::state::{State, Use};
use crate::work::Work;

/// Configurations that one instance keeps at most; the one idle longest makes way.
const MAX_CONFIGURATIONS: usize = 16 << 10;

/// A live instance. It serves one call at a time.
pub(crate) struct Instance {
    store: Store<State>,
    exports: Exports,
    calls: u32,
    clock: Ticks,
    /// The tick when it was made.
    born: u64,
    /// How many filters of the plugin were dropped when this instance last looked.
    drops_seen: u64,
    /// Of the plugin that it was started for.
    telemetry: PluginTelemetry,
    _live: LiveInstance,
}

impl Instance {
    /// Instantiates a plugin; `first` is the use that pays for it.
    pub(crate) async fn start(
        engine: &TickingEngine,
        template: &Template,
        first: &Use,
    ) -> Result<Self, Fault> {
        let mut store = store(engine, first);
        match template.instantiate(&mut store).await {
            Ok(exports) => Ok(Self {
                store,
                exports,
                calls: 0,
                clock: engine.clock(),
                born: engine.clock().now(),
                drops_seen: 0,
                _live: first.telemetry.instance(),
                telemetry: first.telemetry.clone(),
            }),
            Err(error) => Err(Fault::of(&error, &store.data().meter, FailureReason::Start)),
        }
    }

    /// True when the instance has not outgrown the memory limit of `used`.
    pub(crate) fn fits(&self, used: &Use) -> bool {
        self.store.data().meter.used() <= used.limits.memory
    }

    /// True when the instance has the configuration of `used`, and none to forget.
    pub(crate) fn is_ready_for(&self, used: &Use, drops: u64) -> bool {
        self.drops_seen == drops && self.store.data().has_met(used.limits.slot)
    }

    pub(crate) const fn telemetry(&self) -> &PluginTelemetry {
        &self.telemetry
    }

    /// Makes the instance ready for a call: forgets what is gone and meets `used`.
    pub(crate) async fn prepare(&mut self, used: &Arc<Use>, drops: u64) -> Result<(), Fault> {
        while let Some(gone) = self.forgettable(drops) {
            self.begin_aside(&gone);
            let forgotten = self.exports.forget(&mut self.store, gone.limits.slot).await;
            self.end_aside(forgotten, FailureReason::Trap)?;
            self.store.data_mut().forget(gone.limits.slot);
        }
        self.drops_seen = drops;
        if self.store.data().has_met(used.limits.slot) {
            return Ok(());
        }
        match self.configure(used).await? {
            Ok(_) => Ok(()),
            Err(refusal) => Err(Fault {
                reason: FailureReason::Start,
                message: format!(
                    "a new instance refuses the configuration that the first one took: {refusal}"
                ),
            }),
        }
    }

    /// Gives the instance a configuration.
    ///
    /// # Errors
    /// The outer error is a fault of the guest, the inner one its refusal.
    pub(crate) async fn configure(&mut self, used: &Arc<Use>) -> Result<Result<Manifest, String>, Fault> {
        self.store.data_mut().meet(used, self.calls);
        self.begin_aside(used);
        let answer = self
            .exports
            .configure(&mut self.store, used.limits.slot, &used.config)
            .await;
        self.end_aside(answer, FailureReason::Start)
    }

    /// Takes the exchange in for a call of the filter with this slot, and hands out the spare one for it.
    pub(crate) fn enter(&mut self, slot: u32, exchange: &mut Exchange) {
        self.calls = self.calls.saturating_add(1);
        self.store.data_mut().turn_to(slot, self.calls);
        self.swap(exchange);
    }

    /// Gives the exchange back for the spare one.
    pub(crate) fn swap(&mut self, exchange: &mut Exchange) {
        mem::swap(&mut self.store.data_mut().exchange, exchange);
    }

    /// Runs one call on the exchange taken in.
    ///
    /// Small on purpose, since it is the whole cost of the host around a call.
    pub(crate) async fn call<W: Work>(&mut self, work: &W) -> Result<W::Answer, Fault> {
        self.store.set_epoch_deadline(SLICE);
        let Some(scope) = self.store.data_mut().begin() else {
            return Err(unconfigured());
        };
        let answer = work.run(&self.exports, &mut self.store, scope).await;
        answer.map_err(|error| Fault::of(&error, &self.store.data().meter, FailureReason::Trap))
    }

    /// Why the instance should give way to a new one, if it should: it has served enough calls or long enough, or its
    /// memory grew so far that a later call would be refused. Growth in the first call is the guest's start, not a leak.
    pub(crate) fn worn(&self) -> Option<Worn> {
        let state = self.store.data();
        let limits = state.limits()?;
        if self.calls >= limits.most_calls {
            Some(Worn::Calls)
        } else if self.clock.now().saturating_sub(self.born) >= limits.most_ticks {
            Some(Worn::Age)
        } else if self.calls > 1 && state.meter.grew_above(limits.memory_mark) {
            Some(Worn::Memory)
        } else {
            None
        }
    }

    fn forgettable(&self, drops: u64) -> Option<Arc<Use>> {
        let state = self.store.data();
        (self.drops_seen != drops || state.configurations() >= MAX_CONFIGURATIONS)
            .then(|| state.forgettable(MAX_CONFIGURATIONS - 1))
            .flatten()
    }

    /// Starts a call that belongs to no exchange.
    fn begin_aside(&mut self, used: &Use) {
        self.store.set_epoch_deadline(SLICE);
        let state = self.store.data_mut();
        state.turn_to(used.limits.slot, self.calls);
        state.budget.begin(used.start_deadline);
        state.meter.begin(used.limits.memory);
    }

    /// Ends it. What it did to the spare exchange is thrown away.
    fn end_aside<R>(&mut self, answer: wasmtime::Result<R>, other: FailureReason) -> Result<R, Fault> {
        let state = self.store.data_mut();
        state.exchange = Exchange::default();
        answer.map_err(|error| Fault::of(&error, &state.meter, other))
    }
}

/// A store for one instance, with the time to start it.
pub(crate) fn store(engine: &TickingEngine, first: &Use) -> Store<State> {
    let meter = MemoryMeter::new(first.limits.memory, first.table_elements);
    let mut store = Store::new(
        engine.engine(),
        State::new(meter, CpuBudget::new(engine.config().tick)),
    );
    store.limiter(|state| &mut state.meter);
    store.epoch_deadline_callback(|mut store| Ok(store.data_mut().budget.tick()));
    store.data_mut().budget.begin(first.start_deadline);
    store.set_epoch_deadline(SLICE);
    store
}

#[cold]
fn unconfigured() -> Fault {
    Fault {
        reason: FailureReason::Start,
        message: "the instance does not know its configuration".to_owned(),
    }
}

/// Why an instance is replaced although nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worn {
    Calls,
    Age,
    Memory,
}

impl Worn {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Age => "age",
            Self::Memory => "memory",
        }
    }
}

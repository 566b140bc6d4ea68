//! One instance of a plugin: its store, its exports, and the configurations it has met.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::{PoolConcurrencyLimitError, Store, Trap, WasmBacktrace};
use weir_filter::{Exchange, FailureReason};

use crate::bindings::{Policy, PolicyPre, guest, types};
use crate::capability::{Sink, Variable};
use crate::engine::TickingEngine;
use crate::limits::MemoryMeter;

/// One configured use of a plugin: what its calls may reach and use.
#[derive(Debug)]
pub(crate) struct Use {
    /// Names the configuration inside every instance.
    pub(crate) slot: u32,
    pub(crate) plugin: String,
    pub(crate) filter: String,
    pub(crate) config: Vec<u8>,
    pub(crate) sinks: Vec<Arc<dyn Sink>>,
    pub(crate) environment: Vec<Variable>,
    pub(crate) memory: usize,
    pub(crate) instances: u32,
    pub(crate) body: u64,
    /// Deadlines in ticks.
    pub(crate) call_ticks: u64,
    pub(crate) start_ticks: u64,
    /// Set when the filter is gone, so that instances forget its slot.
    pub(crate) dropped: AtomicBool,
}

/// What a store holds for the host functions.
#[derive(Debug)]
pub(crate) struct State {
    /// The current exchange while a phase runs, a spare one otherwise.
    pub(crate) exchange: Exchange,
    pub(crate) meter: MemoryMeter,
    /// The configurations met, by slot.
    uses: Vec<Arc<Use>>,
    current: usize,
}

/// Why a call failed; the instance is not to be used again.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) reason: FailureReason,
    pub(crate) message: String,
}

/// A live instance. It serves one call at a time.
pub(crate) struct Instance {
    store: Store<State>,
    policy: Box<Policy>,
    calls: u32,
    /// How many filters of the plugin were dropped when this instance last looked.
    drops_seen: u64,
}

impl State {
    /// The use that the current call is for.
    pub(crate) fn current(&self) -> Option<&Arc<Use>> {
        self.uses.get(self.current)
    }

    /// The current filter's name, for logs.
    pub(crate) fn filter(&self) -> &str {
        self.current().map_or("", |it| it.filter.as_str())
    }

    fn position(&self, slot: u32) -> Result<usize, usize> {
        self.uses.binary_search_by_key(&slot, |it| it.slot)
    }
}

impl Instance {
    /// Instantiates a plugin; `first` is the use that pays for it.
    pub(crate) fn start(
        engine: &TickingEngine,
        policy: &PolicyPre<State>,
        first: &Use,
    ) -> Result<Self, Fault> {
        let state = State {
            exchange: Exchange::default(),
            meter: MemoryMeter::new(first.memory, engine.config().table_elements as usize),
            uses: Vec::new(),
            current: 0,
        };
        let mut store = Store::new(engine.engine(), state);
        store.limiter(|state| &mut state.meter);
        store.epoch_deadline_trap();
        store.set_epoch_deadline(first.start_ticks);
        match policy.instantiate(&mut store) {
            Ok(policy) => Ok(Self {
                store,
                policy: Box::new(policy),
                calls: 0,
                drops_seen: 0,
            }),
            Err(error) => Err(fault(&error, store.data(), FailureReason::Start)),
        }
    }

    /// True when the instance has not outgrown the memory limit of `used`.
    pub(crate) fn fits(&self, used: &Use) -> bool {
        self.store.data().meter.used() <= used.memory
    }

    /// Gives the instance a configuration.
    ///
    /// # Errors
    /// The outer error is a fault of the guest, the inner one its refusal.
    pub(crate) fn configure(&mut self, used: &Arc<Use>) -> Result<Result<guest::Manifest, String>, Fault> {
        let at = match self.store.data().position(used.slot) {
            Ok(at) => at,
            Err(at) => {
                self.store.data_mut().uses.insert(at, Arc::clone(used));
                at
            }
        };
        self.aside(at, used, FailureReason::Start, |policy, store| {
            policy
                .weir_policy_filter()
                .call_configure(store, used.slot, &used.config)
        })
    }

    /// Runs one phase of `used` on `exchange`.
    ///
    /// Small on purpose, since it is the whole cost of the host around a call: find the slot, set the deadline,
    /// swap the exchange in and out.
    pub(crate) fn call<R>(
        &mut self,
        used: &Arc<Use>,
        exchange: &mut Exchange,
        phase: impl FnOnce(&guest::Guest, &mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        let at = match self.store.data().position(used.slot) {
            Ok(at) => at,
            Err(_) => self.meet(used)?,
        };
        self.calls = self.calls.saturating_add(1);
        self.store.set_epoch_deadline(used.call_ticks);
        let state = self.store.data_mut();
        state.current = at;
        state.meter.begin(used.memory);
        mem::swap(&mut state.exchange, exchange);
        let result = phase(self.policy.weir_policy_filter(), &mut self.store);
        mem::swap(&mut self.store.data_mut().exchange, exchange);
        result.map_err(|error| fault(&error, self.store.data(), FailureReason::Trap))
    }

    /// Forgets the slots of filters that are gone. `drops` counts the plugin's dropped filters.
    pub(crate) fn forget_dropped(&mut self, drops: u64) -> Result<(), Fault> {
        if self.drops_seen == drops {
            return Ok(());
        }
        self.drops_seen = drops;
        let gone = |it: &Arc<Use>| it.dropped.load(Ordering::Acquire);
        while let Some((at, used)) = self.store.data().uses.iter().enumerate().find(|(_, it)| gone(it)) {
            let used = Arc::clone(used);
            self.aside(at, &used, FailureReason::Trap, |policy, store| {
                policy.weir_policy_filter().call_forget(store, used.slot)
            })?;
            self.store.data_mut().uses.remove(at);
        }
        Ok(())
    }

    /// True when the instance should give way to a new one: it has served enough calls, or its memory grew so far
    /// that a later call would be refused. Growth in the first call is the guest's start, not a leak.
    pub(crate) fn is_worn(&self, calls: u32) -> bool {
        self.calls >= calls || (self.calls > 1 && self.store.data().meter.grew_high())
    }

    fn meet(&mut self, used: &Arc<Use>) -> Result<usize, Fault> {
        match self.configure(used)? {
            Ok(_) => self.store.data().position(used.slot).map_err(|_| Fault {
                reason: FailureReason::Start,
                message: "the configuration was not kept".to_owned(),
            }),
            Err(refusal) => Err(Fault {
                reason: FailureReason::Start,
                message: format!(
                    "a new instance refuses the configuration that the first one took: {refusal}"
                ),
            }),
        }
    }

    /// Runs a call that belongs to no exchange. What it does to the spare exchange is thrown away.
    fn aside<R>(
        &mut self,
        at: usize,
        used: &Use,
        other: FailureReason,
        call: impl FnOnce(&Policy, &mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        self.store.set_epoch_deadline(used.start_ticks);
        let state = self.store.data_mut();
        state.current = at;
        state.meter.begin(used.memory);
        let result = call(&self.policy, &mut self.store);
        self.store.data_mut().exchange = Exchange::default();
        result.map_err(|error| fault(&error, self.store.data(), other))
    }
}

/// Names the cause of a failed call; `other` is the reason when none of the limits was.
fn fault(error: &wasmtime::Error, state: &State, other: FailureReason) -> Fault {
    let trap = error.downcast_ref::<Trap>();
    let reason = if error.is::<PoolConcurrencyLimitError>() {
        FailureReason::Exhausted
    } else if trap == Some(&Trap::Interrupt) {
        FailureReason::Deadline
    } else if state.meter.refused() {
        FailureReason::Memory
    } else {
        other
    };
    let cause = trap.map_or_else(|| error.root_cause().to_string(), ToString::to_string);
    let message = match error.downcast_ref::<WasmBacktrace>() {
        Some(backtrace) => format!("{cause}\n{backtrace}"),
        None => cause,
    };
    Fault { reason, message }
}

/// What a head phase answered, with the plan's limit lowered to the filter's own.
pub(crate) fn head_action(action: types::HeadAction, largest_body: u64) -> weir_filter::HeadAction {
    use weir_filter::{BodyPlan, HeadAction, Oversize};
    match action {
        types::HeadAction::Next => HeadAction::Next,
        types::HeadAction::Reply => HeadAction::Reply,
        types::HeadAction::Chunks => HeadAction::Body(BodyPlan::Chunks),
        types::HeadAction::Whole(whole) => HeadAction::Body(BodyPlan::Whole {
            limit: if whole.limit == 0 {
                largest_body
            } else {
                whole.limit.min(largest_body)
            },
            oversize: match whole.oversize {
                types::Oversize::Reject => Oversize::Reject,
                types::Oversize::Skip => Oversize::Skip,
                types::Oversize::StreamInstead => Oversize::Stream,
            },
        }),
    }
}

/// What a body phase answered.
pub(crate) const fn body_action(action: types::BodyAction) -> weir_filter::BodyAction {
    match action {
        types::BodyAction::Next => weir_filter::BodyAction::Next,
        types::BodyAction::Reply => weir_filter::BodyAction::Reply,
    }
}

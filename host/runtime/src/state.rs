//! What a store holds for the host functions: the current exchange, and the configurations that the instance has met.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use weir_filter::Exchange;
use weir_kv::Namespace;
use weir_model::{GrantedBackend, Isolation};
use weir_telemetry::{FilterTelemetry, PluginMetrics, PluginTelemetry};

use crate::budget::CpuBudget;
use crate::capability::{LogLimit, Sink, Variable};
use crate::handler::Wasi;
use crate::limits::MemoryMeter;
use crate::pool::Starts;

/// One configured use of a plugin: what its calls may reach and use.
#[derive(Debug)]
pub(crate) struct Use {
    pub(crate) plugin: String,
    pub(crate) filter: String,
    pub(crate) config: Vec<u8>,
    pub(crate) sinks: Vec<Arc<dyn Sink>>,
    pub(crate) environment: Vec<Variable>,
    pub(crate) effect: Effect,
    pub(crate) backends: Vec<GrantedBackend>,
    pub(crate) kv: Arc<Namespace>,
    pub(crate) metrics: Arc<PluginMetrics>,
    pub(crate) telemetry: PluginTelemetry,
    pub(crate) own_telemetry: FilterTelemetry,
    /// Of its plugin; a shadow has its own.
    pub(crate) starts: Arc<Starts>,
    pub(crate) log: LogLimit,
    pub(crate) limits: CallLimits,
    pub(crate) table_elements: usize,
    pub(crate) instances: u32,
    pub(crate) callouts: u32,
    /// CPU time of a start.
    pub(crate) start_deadline: Duration,
    pub(crate) isolation: Isolation,
    /// Set when the filter is gone, so that instances forget its slot.
    pub(crate) dropped: AtomicBool,
}

impl Use {
    /// The gateway's metrics of the plugin say from now on whether its starts are delayed.
    pub(crate) fn show_crash_loop(&self) {
        let starts = Arc::downgrade(&self.starts);
        let delayed = move || starts.upgrade().is_some_and(|it| it.are_delayed());
        self.telemetry.watch_crash_loop(delayed);
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }
}

/// What one call of a configured use may take. Instances have a copy, so that calls do not look at what workers share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallLimits {
    /// Names the configuration inside every instance.
    pub(crate) slot: u32,
    pub(crate) memory: usize,
    /// Memory above which an instance is replaced.
    pub(crate) memory_mark: usize,
    /// The largest body that is held back for the guest.
    pub(crate) body: u64,
    /// CPU time.
    pub(crate) deadline: Duration,
    /// Wall time.
    pub(crate) timeout: Duration,
    /// Calls, and ticks of life, after which an instance is replaced.
    pub(crate) most_calls: u32,
    pub(crate) most_ticks: u64,
}

/// What a guest is called with, and what its answer is held to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    pub(crate) slot: u32,
    pub(crate) largest_body: u64,
}

/// Whether what a filter writes outside its exchange counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Real,
    /// Sinks, store, metrics and log stay as they are; reading works.
    None,
}

/// What a store holds for the host functions.
#[derive(Debug)]
pub(crate) struct State {
    /// The current exchange while a call runs, or the connection that takes the place of one; a spare one otherwise.
    pub(crate) exchange: Exchange,
    pub(crate) meter: MemoryMeter,
    pub(crate) budget: CpuBudget,
    /// What a handler sees of a system.
    pub(crate) wasi: Option<Box<Wasi>>,
    /// The configurations met, by slot.
    uses: Vec<Met>,
    current: usize,
}

/// A configuration that the instance has.
#[derive(Debug)]
struct Met {
    used: Arc<Use>,
    limits: CallLimits,
    /// The number of the last call for it.
    last: u32,
}

impl State {
    pub(crate) fn new(meter: MemoryMeter, budget: CpuBudget) -> Self {
        Self {
            exchange: Exchange::default(),
            meter,
            budget,
            wasi: None,
            uses: Vec::new(),
            current: 0,
        }
    }

    /// The use that the current call is for.
    pub(crate) fn current(&self) -> Option<&Arc<Use>> {
        self.uses.get(self.current).map(|met| &met.used)
    }

    /// What the current call may take.
    pub(crate) fn limits(&self) -> Option<&CallLimits> {
        self.uses.get(self.current).map(|met| &met.limits)
    }

    /// Opens the accounts of a call; `None` when there is no configuration to call for.
    pub(crate) fn begin(&mut self) -> Option<Scope> {
        let limits = &self.uses.get(self.current)?.limits;
        self.budget.begin(limits.deadline);
        self.meter.begin(limits.memory);
        Some(Scope {
            slot: limits.slot,
            largest_body: limits.body,
        })
    }

    /// True when the current filter must leave no trace.
    pub(crate) fn is_shadow(&self) -> bool {
        self.current().is_some_and(|it| it.effect == Effect::None)
    }

    /// The current filter's name, for logs.
    pub(crate) fn filter(&self) -> &str {
        self.current().map_or("", |it| it.filter.as_str())
    }

    /// True when the instance has the configuration of this slot.
    pub(crate) fn has_met(&self, slot: u32) -> bool {
        self.position(slot).is_ok()
    }

    /// Turns to a configuration; false when the instance has not met it.
    pub(crate) fn turn_to(&mut self, slot: u32, call: u32) -> bool {
        let Ok(at) = self.position(slot) else {
            return false;
        };
        self.current = at;
        if let Some(met) = self.uses.get_mut(at) {
            met.last = call;
        }
        true
    }

    /// Adds a configuration and turns to it.
    pub(crate) fn meet(&mut self, used: &Arc<Use>, call: u32) {
        match self.position(used.limits.slot) {
            Ok(at) => self.current = at,
            Err(at) => {
                let met = Met {
                    used: Arc::clone(used),
                    limits: used.limits,
                    last: call,
                };
                self.uses.insert(at, met);
                self.current = at;
            }
        }
    }

    /// Drops a configuration from the list.
    pub(crate) fn forget(&mut self, slot: u32) {
        if let Ok(at) = self.position(slot) {
            self.uses.remove(at);
        }
    }

    /// A configuration to forget: one whose filter is gone, else the one that was idle longest when there are more
    /// than `most`.
    pub(crate) fn forgettable(&self, most: usize) -> Option<Arc<Use>> {
        let gone = self.uses.iter().find(|met| met.used.is_dropped());
        let idle = || {
            (self.uses.len() > most)
                .then(|| self.uses.iter().min_by_key(|met| met.last))
                .flatten()
        };
        gone.or_else(idle).map(|met| Arc::clone(&met.used))
    }

    pub(crate) fn configurations(&self) -> usize {
        self.uses.len()
    }

    fn position(&self, slot: u32) -> Result<usize, usize> {
        self.uses.binary_search_by_key(&slot, |met| met.limits.slot)
    }
}

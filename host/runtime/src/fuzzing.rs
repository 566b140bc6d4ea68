//! Doors for the fuzz targets of `fuzz`, which run what strangers' bytes reach without a guest in between. Only built
//! for them.

use http::HeaderMap;
use weir_filter::Exchange;

pub use crate::capability::fuzzing::{Messages, Operation, Part, status};

use crate::budget::CpuBudget;
use crate::limits::MemoryMeter;
use crate::state::State;

/// An exchange as the host functions of one call see it.
#[derive(Debug)]
pub struct Edits(State);

impl Edits {
    /// Takes the exchange in, for a call that may make the host keep so many bytes.
    pub fn new(exchange: Exchange, memory: usize) -> Self {
        let mut meter = MemoryMeter::new(memory, 0);
        meter.begin(memory);
        let mut state = State::new(meter, CpuBudget::new(std::time::Duration::from_millis(1)));
        state.exchange = exchange;
        Self(state)
    }

    /// Edits one field as a guest does.
    ///
    /// # Errors
    /// When the host would keep too much.
    pub fn edit(&mut self, part: Part, operation: Operation, name: &str, value: &[u8]) -> Result<(), String> {
        part.edit(&mut self.0, operation, name, value)
            .map_err(|error| error.to_string())
    }

    /// What became of it.
    pub fn exchange(&self) -> &Exchange {
        &self.0.exchange
    }

    /// The fields of a request.
    pub fn request(&self) -> &HeaderMap {
        &self.0.exchange.request.headers
    }
}

//! What one call may use: linear memory, tables and bytes kept by the host. CPU time is the epoch's matter.

use wasmtime::{ResourceLimiter, Result};

/// Counts the memory of one store against the limit of the filter that it runs for.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    limit: usize,
    used: usize,
    /// What the last granted growth added, in case it fails after all.
    growth: usize,
    grown: bool,
    refused: bool,
    kept: usize,
    table_elements: usize,
}

/// A host function was asked to keep more for the guest than its memory limit.
#[derive(Debug, thiserror::Error)]
#[error("the host would keep more than {0} bytes for this call")]
pub(crate) struct KeptTooMuch(usize);

impl MemoryMeter {
    pub(crate) const fn new(limit: usize, table_elements: usize) -> Self {
        Self { limit, used: 0, growth: 0, grown: false, refused: false, kept: 0, table_elements }
    }

    /// Starts the account of one call.
    pub(crate) const fn begin(&mut self, limit: usize) {
        self.limit = limit;
        self.grown = false;
        self.refused = false;
        self.kept = 0;
    }

    /// Counts bytes that the host keeps at the guest's wish: fields, notes, bodies.
    pub(crate) fn keep(&mut self, bytes: usize) -> Result<()> {
        self.kept = self.kept.saturating_add(bytes);
        if self.kept > self.limit {
            self.refused = true;
            return Err(KeptTooMuch(self.limit).into());
        }
        Ok(())
    }

    /// True when this call was refused memory.
    pub(crate) const fn refused(&self) -> bool {
        self.refused
    }

    /// True when this call grew the memory to where the next growth may be refused.
    pub(crate) const fn grew_high(&self) -> bool {
        self.grown && self.used > self.limit - self.limit / 4
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let growth = desired.saturating_sub(current);
        let total = self.used.saturating_add(growth);
        if total > self.limit || maximum.is_some_and(|maximum| desired > maximum) {
            self.refused = true;
            return Ok(false);
        }
        self.used = total;
        self.growth = growth;
        self.grown = true;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> Result<()> {
        self.used = self.used.saturating_sub(self.growth);
        self.growth = 0;
        self.refused = true;
        Ok(())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= self.table_elements && maximum.is_none_or(|maximum| desired <= maximum))
    }
}

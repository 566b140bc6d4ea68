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
        Self {
            limit,
            used: 0,
            growth: 0,
            grown: false,
            refused: false,
            kept: 0,
            table_elements,
        }
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

    /// Bounds bytes that outlive the call, such as all notes of an exchange.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<()> {
        if bytes > self.limit {
            self.refused = true;
            return Err(KeptTooMuch(self.limit).into());
        }
        Ok(())
    }

    /// Bytes of linear memory that the instance has.
    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    /// True when this call was refused memory.
    pub(crate) const fn refused(&self) -> bool {
        self.refused
    }

    /// True when this call grew the memory above `mark`.
    pub(crate) const fn grew_above(&self, mark: usize) -> bool {
        self.grown && self.used > mark
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

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 64 << 10;

    fn grown_to(limit: usize, size: usize) -> MemoryMeter {
        let mut meter = MemoryMeter::new(limit, 10);
        meter.begin(limit);
        let granted = meter.memory_growing(0, size, None).unwrap();
        assert_eq!(granted, size <= limit);
        meter
    }

    #[test]
    fn all_memories_of_an_instance_count_together() {
        let mut meter = grown_to(4 * PAGE, 3 * PAGE);
        assert!(!meter.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(meter.refused());
    }

    #[test]
    fn a_refusal_is_of_one_call() {
        let mut meter = grown_to(PAGE, 2 * PAGE);
        assert!(meter.refused());
        meter.begin(PAGE);
        assert!(!meter.refused());
    }

    #[test]
    fn a_growth_that_fails_after_all_is_not_counted() {
        let mut meter = grown_to(4 * PAGE, 4 * PAGE);
        meter
            .memory_grow_failed(wasmtime::Error::msg("no memory"))
            .unwrap();
        assert!(meter.memory_growing(0, 4 * PAGE, None).unwrap());
    }

    #[test]
    fn growth_near_the_limit_wears_an_instance_out_once() {
        let mut meter = grown_to(8 * PAGE, 7 * PAGE);
        assert!(meter.grew_above(6 * PAGE));
        meter.begin(8 * PAGE);
        assert!(!meter.grew_above(6 * PAGE), "this call did not grow it");
        assert!(!grown_to(8 * PAGE, 6 * PAGE).grew_above(6 * PAGE));
    }

    #[test]
    fn what_the_host_keeps_for_a_call_is_bounded_too() {
        let mut meter = MemoryMeter::new(PAGE, 10);
        meter.begin(PAGE);
        meter.keep(PAGE).unwrap();
        assert!(meter.keep(1).is_err());
        assert!(meter.refused());
    }

    #[test]
    fn tables_are_bounded() {
        let mut meter = MemoryMeter::new(PAGE, 10);
        assert!(meter.table_growing(0, 10, None).unwrap());
        assert!(!meter.table_growing(10, 11, None).unwrap());
    }
}

//! Configured values by slot number.

/// Values by slot: sorted, because the host may choose any number and a guest has few of them.
#[derive(Debug)]
pub struct Slots<T> {
    entries: Vec<(u32, T)>,
}

impl<T> Slots<T> {
    /// No slots.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// The value of a slot.
    pub fn get(&self, slot: u32) -> Option<&T> {
        let at = self
            .entries
            .binary_search_by_key(&slot, |(number, _)| *number)
            .ok()?;
        self.entries.get(at).map(|(_, value)| value)
    }

    /// Sets the value of a slot.
    pub fn set(&mut self, slot: u32, value: T) {
        self.remove(slot);
        let at = self.entries.partition_point(|(number, _)| *number < slot);
        self.entries.insert(at, (slot, value));
    }

    /// Drops the value of a slot.
    pub fn remove(&mut self, slot: u32) {
        self.entries.retain(|(number, _)| *number != slot);
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_keeps_its_value_whatever_the_order_of_configuration() {
        let mut slots = Slots::new();
        for slot in [7, u32::MAX, 0, 3] {
            slots.set(slot, slot.to_string());
        }
        slots.set(3, "again".to_owned());
        slots.remove(0);
        let check = |slot: u32, expect: Option<&str>| assert_eq!(slots.get(slot).map(String::as_str), expect);
        check(7, Some("7"));
        check(3, Some("again"));
        check(u32::MAX, Some("4294967295"));
        check(0, None);
        check(1, None);
    }
}

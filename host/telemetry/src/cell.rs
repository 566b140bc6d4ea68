//! Numbers of which every thread has its own: an update touches no cache line that another thread writes.
//!
//! Cells are handed out of blocks, so that a thousand series need not have a thousand padded cells per thread. What
//! a number means is for others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use thread_local::ThreadLocal;

/// Cells of a line: two cache lines of 64 bytes, because processors fetch them in pairs.
const LINE: usize = 16;

/// Cells of a block, unless one series wants more.
const BLOCK: usize = 4 * LINE;

/// Hands out cells, and takes them back when a series ends.
#[derive(Debug, Default)]
pub struct Arena {
    free: Mutex<Free>,
}

/// Places that nobody counts in.
#[derive(Debug, Default)]
struct Free {
    /// By how many cells lie side by side.
    spare: BTreeMap<usize, Vec<Place>>,
}

#[derive(Clone, Debug)]
struct Place {
    block: Arc<Block>,
    start: usize,
}

/// Lines of cells for each thread that ever counted here; made when it does so for the first time.
struct Block {
    lines: usize,
    threads: ThreadLocal<Box<[Line]>>,
}

#[derive(Default)]
#[repr(align(128))]
struct Line([AtomicU64; LINE]);

/// Some cells side by side, with one value of each per thread. They start at zero.
#[derive(Debug)]
pub(crate) struct Cells {
    place: Place,
    len: usize,
    arena: Arc<Arena>,
}

/// What one thread has of some cells.
pub(crate) struct OwnCells<'a> {
    lines: &'a [Line],
    start: usize,
}

impl Cells {
    /// `len` cells, all zero.
    pub(crate) fn new(arena: &Arc<Arena>, len: usize) -> Self {
        Self {
            place: arena.take(len),
            len,
            arena: Arc::clone(arena),
        }
    }

    /// The cells of this thread. No lock and no allocation, except that a thread's first look at a block makes the
    /// block's cells of that thread.
    pub(crate) fn own(&self) -> OwnCells<'_> {
        let lines = self
            .place
            .block
            .threads
            .get_or(|| (0..self.place.block.lines).map(|_| Line::default()).collect());
        OwnCells {
            lines,
            start: self.place.start,
        }
    }

    /// What every thread has in one cell.
    pub(crate) fn values(&self, index: usize) -> impl Iterator<Item = u64> + '_ {
        self.place
            .block
            .threads
            .iter()
            .filter_map(move |lines| cell(lines, self.place.start + index))
            .map(|cell| cell.load(Ordering::Relaxed))
    }

    /// The sum over all threads; it wraps.
    pub(crate) fn sum(&self, index: usize) -> u64 {
        self.values(index).fold(0, u64::wrapping_add)
    }
}

impl OwnCells<'_> {
    /// Gives one cell a new value.
    pub(crate) fn update(&self, index: usize, change: impl FnOnce(u64) -> u64) {
        if let Some(cell) = cell(self.lines, self.start + index) {
            // Only this thread writes here, so nothing can come between.
            cell.store(change(cell.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        for lines in &self.place.block.threads {
            for index in self.place.start..self.place.start + self.len {
                if let Some(cell) = cell(lines, index) {
                    cell.store(0, Ordering::Relaxed);
                }
            }
        }
        self.arena.give_back(self.place.clone(), self.len);
    }
}

impl Arena {
    fn take(&self, len: usize) -> Place {
        let mut free = self.free.lock();
        if let Some(place) = free.spare.get_mut(&len).and_then(Vec::pop) {
            return place;
        }
        // The smallest stretch that is long enough; a new block when there is none.
        let longer = free.spare.range(len..).find(|(_, places)| !places.is_empty());
        let (size, place) = match longer.map(|(size, _)| *size) {
            Some(size) => (size, free.spare.get_mut(&size).and_then(Vec::pop)),
            None => (len.next_multiple_of(LINE).max(BLOCK), None),
        };
        let place = place.unwrap_or_else(|| Place {
            block: Arc::new(Block::new(size.div_ceil(LINE))),
            start: 0,
        });
        if size > len {
            let rest = Place {
                block: Arc::clone(&place.block),
                start: place.start + len,
            };
            free.spare.entry(size - len).or_default().push(rest);
        }
        place
    }

    fn give_back(&self, place: Place, len: usize) {
        self.free.lock().spare.entry(len).or_default().push(place);
    }
}

impl Block {
    fn new(lines: usize) -> Self {
        Self {
            lines,
            threads: ThreadLocal::new(),
        }
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block").field("lines", &self.lines).finish()
    }
}

fn cell(lines: &[Line], index: usize) -> Option<&AtomicU64> {
    lines.get(index / LINE)?.0.get(index % LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_counts_in_its_own_cell_and_the_sum_is_exact() {
        let cells = Cells::new(&Arc::default(), 2);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..10_000).for_each(|_| cells.own().update(1, |it| it + 1)));
            }
        });
        assert_eq!((cells.sum(0), cells.sum(1)), (0, 80_000));
    }

    #[test]
    fn lines_of_different_threads_lie_on_different_cache_lines() {
        assert_eq!((size_of::<Line>(), align_of::<Line>()), (128, 128));
    }

    #[test]
    fn cells_that_come_back_are_zero_and_used_again() {
        let arena = Arc::default();
        let first = Cells::new(&arena, 18);
        let block = Arc::clone(&first.place.block);
        first.own().update(17, |_| 7);
        drop(first);
        let again = Cells::new(&arena, 18);
        assert!(Arc::ptr_eq(&again.place.block, &block));
        assert_eq!(again.sum(17), 0);
    }

    #[test]
    fn living_cells_never_overlap_and_large_ones_get_a_block_of_their_own() {
        let arena = Arc::default();
        let all: Vec<_> = [1, 18, 40, 1, 200, 3, 18, 18, 1]
            .map(|len| Cells::new(&arena, len))
            .into();
        for (number, cells) in all.iter().enumerate() {
            (0..cells.len).for_each(|index| cells.own().update(index, |it| it + 1 + number as u64));
        }
        for (number, cells) in all.iter().enumerate() {
            assert!((0..cells.len).all(|index| cells.sum(index) == 1 + number as u64));
        }
    }
}

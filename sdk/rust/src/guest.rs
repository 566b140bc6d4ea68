//! Carries the exports of the component to the traits of the SDK; used by its macros only.

use std::cell::RefCell;
use std::thread::LocalKey;

use crate::Chunk;
use crate::slot::Slots;

pub mod access_log;
pub mod background;
pub mod connection_filter;
pub mod policy;

/// Values of a trait by slot.
pub type Values<T> = RefCell<Slots<T>>;

/// Where a guest keeps its configured values. A guest has one thread, so this is a plain static there.
pub type Store<T> = LocalKey<Values<T>>;

/// No values yet.
pub const fn values<T>() -> Values<T> {
    RefCell::new(Slots::new())
}

/// Keeps the value of a slot.
pub fn keep<T>(store: &'static Store<T>, slot: u32, value: T) {
    store.with_borrow_mut(|slots| slots.set(slot, value));
}

/// Drops the value of a slot.
pub fn forget<T>(store: &'static Store<T>, slot: u32) {
    store.with_borrow_mut(|slots| slots.remove(slot));
}

/// Runs one call. A slot that was never configured is the host's error and a trap.
#[inline]
pub fn call<T, A>(store: &'static Store<T>, slot: u32, run: impl FnOnce(&T) -> A) -> A {
    store.with_borrow(|slots| match slots.get(slot) {
        Some(value) => run(value),
        // Without a message: formatting one would weigh more than a small policy.
        None => std::process::abort(),
    })
}

/// A chunk as it came.
pub const fn chunk(bytes: Vec<u8>, end: bool) -> Chunk {
    Chunk { bytes, end }
}

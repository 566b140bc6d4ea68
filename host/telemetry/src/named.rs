//! Values that are shared by all who ask for the same name while one of them holds it, so that what replaces an owner
//! takes over its values, also those that were made on the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// Values by name.
#[derive(Debug)]
pub(crate) struct Named<T>(Mutex<BTreeMap<Box<str>, Weak<T>>>);

impl<T> Named<T> {
    /// The value of that name; `make` makes it when nobody holds one.
    pub(crate) fn get(&self, name: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut all = self.0.lock();
        if let Some(known) = all.get(name).and_then(Weak::upgrade) {
            return known;
        }
        all.retain(|_, value| value.strong_count() > 0);
        let made = Arc::new(make());
        all.insert(name.into(), Arc::downgrade(&made));
        made
    }

    /// Every value that somebody holds, in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        self.0.lock().values().filter_map(Weak::upgrade).collect()
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

//! The namespaces of all plugins.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::Namespace;

/// The namespaces of all plugins of a gateway.
#[derive(Debug, Default)]
pub struct Store {
    namespaces: Mutex<BTreeMap<Box<str>, Weak<Namespace>>>,
}

impl Store {
    /// A store without namespaces.
    pub fn new() -> Self {
        Self::default()
    }

    /// The namespace of that name, which lives with its entries as long as somebody holds it: who replaces a plugin
    /// takes the new handle before the old one goes. `quota`, in bytes, holds from now on for every holder; what is
    /// there above it stays, and nothing can be added to it.
    pub fn namespace(&self, name: &str, quota: u64) -> Arc<Namespace> {
        let mut all = self.namespaces.lock();
        if let Some(known) = all.get(name).and_then(Weak::upgrade) {
            known.set_quota(quota);
            return known;
        }
        all.retain(|_, namespace| namespace.strong_count() > 0);
        let made = Arc::new(Namespace::new(quota));
        all.insert(name.into(), Arc::downgrade(&made));
        made
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_namespace_survives_as_long_as_one_handle_does() {
        let (store, now) = (Store::new(), Instant::now());
        let old = store.namespace("default/quota", 10_000);
        old.set("a", b"1", None, now).unwrap();
        let new = store.namespace("default/quota", 20_000);
        drop(old);
        assert_eq!(&*new.get("a", now).unwrap().value, b"1");
        assert_eq!(new.quota(), 20_000);
        drop(new);
        assert!(store.namespace("default/quota", 10_000).get("a", now).is_none());
    }

    #[test]
    fn plugins_do_not_see_each_other() {
        let (store, now) = (Store::new(), Instant::now());
        let one = store.namespace("default/one", 10_000);
        let other = store.namespace("default/other", 10_000);
        one.set("a", b"1", None, now).unwrap();
        assert!(other.get("a", now).is_none());
        assert_eq!(other.used(), 0);
    }

    #[test]
    fn names_that_nobody_holds_are_forgotten() {
        let store = Store::new();
        for number in 0..100 {
            drop(store.namespace(&number.to_string(), 1));
        }
        assert_eq!(store.namespaces.lock().len(), 1);
    }
}

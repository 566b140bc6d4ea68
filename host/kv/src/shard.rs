//! A part of a namespace, and what a lock protects: entries, and the order in which they expire.
//!
//! Both always name the same entries, and the quota's account has the sum of what they count for.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::ENTRY_OVERHEAD;

/// How many bytes a namespace may use, and how many it does. Shared by its shards.
#[derive(Debug)]
pub(crate) struct Account {
    quota: AtomicU64,
    used: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct Shard {
    entries: BTreeMap<Arc<str>, Kept>,
    /// Entries that expire, the next one first; the version tells apart those of the same moment.
    expiry: BTreeMap<(Instant, u64), Arc<str>>,
}

/// An entry.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) value: Arc<[u8]>,
    pub(crate) version: u64,
    /// From this moment on it is not there.
    pub(crate) expires: Option<Instant>,
}

/// Not enough room: so many bytes more were wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoRoom {
    pub(crate) needed: u64,
}

impl Account {
    pub(crate) const fn new(quota: u64) -> Self {
        Self {
            quota: AtomicU64::new(quota),
            used: AtomicU64::new(0),
        }
    }

    pub(crate) fn quota(&self) -> u64 {
        self.quota.load(Ordering::Relaxed)
    }

    pub(crate) fn set_quota(&self, quota: u64) {
        self.quota.store(quota, Ordering::Relaxed);
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether `needed` bytes more would fit at this moment.
    pub(crate) fn has_room(&self, needed: u64) -> bool {
        self.used().saturating_add(needed) <= self.quota()
    }

    /// Replaces `old` bytes by `new` ones, if they fit. What gets no larger always does.
    fn exchange(&self, old: u64, new: u64) -> Result<(), NoRoom> {
        let Some(needed) = new.checked_sub(old).filter(|needed| *needed > 0) else {
            self.used.fetch_sub(old - new, Ordering::Relaxed);
            return Ok(());
        };
        let quota = self.quota();
        let grow = |used: u64| used.checked_add(needed).filter(|sum| *sum <= quota);
        match self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, grow) {
            Ok(_) => Ok(()),
            Err(_) => Err(NoRoom { needed }),
        }
    }
}

impl Shard {
    /// The entry, unless it expired; then its space is free again.
    pub(crate) fn get(&mut self, key: &str, now: Instant, account: &Account) -> Option<&Kept> {
        if self.entries.get(key)?.is_expired(now) {
            self.remove(key, account);
        }
        self.entries.get(key)
    }

    /// Puts an entry in the place of the one that is there, if the account allows it.
    pub(crate) fn put(&mut self, key: &str, kept: Kept, account: &Account) -> Result<(), NoRoom> {
        let old = self
            .entries
            .get(key)
            .map_or(0, |old| charge(key.len(), old.value.len()));
        account.exchange(old, charge(key.len(), kept.value.len()))?;
        // One text for both maps, also when the entry is there already.
        let known = self.entries.get_key_value(key).map(|(key, _)| Arc::clone(key));
        let key = known.unwrap_or_else(|| key.into());
        if let Some(expires) = kept.expires {
            self.expiry.insert((expires, kept.version), Arc::clone(&key));
        }
        if let Some(old) = self.entries.insert(key, kept) {
            self.forget(&old);
        }
        Ok(())
    }

    /// Removes an entry, expired or not.
    pub(crate) fn remove(&mut self, key: &str, account: &Account) {
        if let Some(old) = self.entries.remove(key) {
            self.forget(&old);
            account
                .used
                .fetch_sub(charge(key.len(), old.value.len()), Ordering::Relaxed);
        }
    }

    /// Removes up to `most` entries that expired, the oldest first, and says how many.
    pub(crate) fn collect(&mut self, now: Instant, most: usize, account: &Account) -> usize {
        let mut removed = 0;
        while removed < most {
            let Some(next) = self.expiry.first_entry().filter(|next| next.key().0 <= now) else {
                break;
            };
            let key = next.remove();
            self.remove(&key, account);
            removed += 1;
        }
        removed
    }

    /// The first `limit` keys in order that begin with `prefix`, without those of expired entries.
    pub(crate) fn keys(&self, prefix: &str, limit: usize, now: Instant) -> impl Iterator<Item = &Arc<str>> {
        self.entries
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .filter(move |(_, kept)| !kept.is_expired(now))
            .map(|(key, _)| key)
            .take(limit)
    }

    fn forget(&mut self, old: &Kept) {
        if let Some(expires) = old.expires {
            self.expiry.remove(&(expires, old.version));
        }
    }
}

impl Kept {
    fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// What an entry counts for in the quota.
pub(crate) fn charge(key: usize, value: usize) -> u64 {
    (key as u64)
        .saturating_add(value as u64)
        .saturating_add(ENTRY_OVERHEAD)
}

//! The entries of one plugin: what it may do with them, and within which bounds.
//!
//! Entries are spread over shards by a hash of their key, each with a short lock. No operation holds two of them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use crate::shard::{Account, Kept, NoRoom, Shard, charge};
use crate::{Error, MAX_KEY, MAX_VALUE};

/// More than workers are likely to meet at one moment.
const SHARDS: usize = 16;

/// Expired entries that every write removes from its shard. More than the one it may add, so that they get fewer.
const COLLECTED_PER_WRITE: usize = 4;

/// Expired entries that a full namespace removes before it looks again whether there is room.
const COLLECTED_FOR_ROOM: usize = 16;

/// The entries of one plugin.
///
/// All times of one namespace come from one clock that never goes back. A time to live of `None` keeps an entry until
/// it is deleted. An expired entry is gone for every reader at that very moment; its space is free again no later than
/// when it is needed.
#[derive(Debug)]
pub struct Namespace {
    shards: [Padded; SHARDS],
    hasher: RandomState,
    account: Account,
    /// The last version given.
    version: AtomicU64,
}

/// A value with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Arc<[u8]>,
    /// A number that no other write in this namespace had, and larger than those of earlier writes to this key, also
    /// when the entry was deleted in between. Never 0.
    pub version: u64,
}

/// Its own cache lines, for locks that neighbours take.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(Mutex<Shard>);

/// A value that a write puts in place, and when it expires.
type Put = (Arc<[u8]>, Option<Instant>);

impl Namespace {
    pub(crate) fn new(quota: u64) -> Self {
        Self {
            shards: Default::default(),
            hasher: RandomState::new(),
            account: Account::new(quota),
            version: AtomicU64::new(0),
        }
    }

    /// The entry of that key.
    pub fn get(&self, key: &str, now: Instant) -> Option<Entry> {
        let mut shard = self.shard(key);
        let kept = shard.get(key, now, &self.account)?;
        Some(Entry {
            value: Arc::clone(&kept.value),
            version: kept.version,
        })
    }

    /// Writes an entry, whether or not there is one, and gives its version.
    ///
    /// # Errors
    /// When key or value are too long, or the namespace is full.
    pub fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>, now: Instant) -> Result<u64, Error> {
        check_key(key)?;
        let value = self.checked(key, value)?;
        let expires = expiry(ttl, now);
        let version = self.write(key, now, |_| Ok(Some((Arc::clone(&value), expires))))?;
        Ok(version.unwrap_or_default())
    }

    /// Writes an entry if the one that is there has this version, and gives the new one. Version 0 means that there is
    /// none. `None` says that something else is there, and nothing was written.
    ///
    /// # Errors
    /// When key or value are too long, or the namespace is full.
    pub fn compare_and_set(
        &self,
        key: &str,
        version: u64,
        value: &[u8],
        ttl: Option<Duration>,
        now: Instant,
    ) -> Result<Option<u64>, Error> {
        check_key(key)?;
        let value = self.checked(key, value)?;
        let expires = expiry(ttl, now);
        self.write(key, now, |kept| {
            let same = kept.map_or(0, |kept| kept.version) == version;
            Ok(same.then(|| (Arc::clone(&value), expires)))
        })
    }

    /// Adds `delta` to an entry that is a decimal number in ASCII, and gives the sum. Without an entry it starts at 0,
    /// and `ttl` says how long the new one is kept; an entry that is there keeps the time that it has.
    ///
    /// # Errors
    /// When what is there is no integer as increments write them, the sum has more than 64 bits, the key is too long,
    /// or the namespace is full.
    pub fn increment(
        &self,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
        now: Instant,
    ) -> Result<i64, Error> {
        check_key(key)?;
        let mut sum = 0;
        self.write(key, now, |kept| {
            let (start, expires) = match kept {
                Some(kept) => (integer(&kept.value).ok_or(Error::NotInteger)?, kept.expires),
                None => (0, expiry(ttl, now)),
            };
            sum = start.checked_add(delta).ok_or(Error::Overflow)?;
            Ok(Some((sum.to_string().into_bytes().into(), expires)))
        })?;
        Ok(sum)
    }

    /// Removes an entry, if there is one.
    pub fn delete(&self, key: &str) {
        self.shard(key).remove(key, &self.account);
    }

    /// The first `limit` keys that begin with `prefix`, in the order of their bytes. Keys that are written or deleted
    /// meanwhile may be there or not.
    pub fn keys(&self, prefix: &str, limit: usize, now: Instant) -> Vec<Arc<str>> {
        let mut keys = Vec::new();
        for shard in &self.shards {
            keys.extend(shard.0.lock().keys(prefix, limit, now).cloned());
        }
        keys.sort_unstable();
        keys.truncate(limit);
        keys
    }

    /// Removes up to `most` expired entries and says how many. Writes do so by themselves; this is for namespaces that
    /// are no longer written to.
    pub fn collect(&self, most: usize, now: Instant) -> usize {
        let mut removed = 0;
        for shard in &self.shards {
            removed += shard.0.lock().collect(now, most - removed, &self.account);
        }
        removed
    }

    /// Bytes in use, with those of expired entries whose space was not needed yet. Never more than the quota, unless
    /// the quota was lowered.
    pub fn used(&self) -> u64 {
        self.account.used()
    }

    /// Bytes that may be in use.
    pub fn quota(&self) -> u64 {
        self.account.quota()
    }

    pub(crate) fn set_quota(&self, quota: u64) {
        self.account.set_quota(quota);
    }

    /// The one way in which entries are written. `decide` sees the living entry and says what takes its place, or
    /// `None` for nothing; it is asked again after room was made. Gives the version that was written.
    fn write(
        &self,
        key: &str,
        now: Instant,
        mut decide: impl FnMut(Option<&Kept>) -> Result<Option<Put>, Error>,
    ) -> Result<Option<u64>, Error> {
        loop {
            let mut shard = self.shard(key);
            shard.collect(now, COLLECTED_PER_WRITE, &self.account);
            let Some((value, expires)) = decide(shard.get(key, now, &self.account))? else {
                return Ok(None);
            };
            // Given under the shard's lock, so that versions of one key only grow.
            let version = self.version.fetch_add(1, Ordering::Relaxed) + 1;
            let kept = Kept {
                value,
                version,
                expires,
            };
            let Err(NoRoom { needed }) = shard.put(key, kept, &self.account) else {
                return Ok(Some(version));
            };
            drop(shard);
            if !self.make_room(needed, now) {
                return Err(Error::OverQuota {
                    used: self.used(),
                    quota: self.quota(),
                    needed,
                });
            }
        }
    }

    /// Removes expired entries until `needed` bytes are free, and not more than that takes. False when there are too
    /// few.
    fn make_room(&self, needed: u64, now: Instant) -> bool {
        for shard in &self.shards {
            loop {
                if self.account.has_room(needed) {
                    return true;
                }
                if shard.0.lock().collect(now, COLLECTED_FOR_ROOM, &self.account) == 0 {
                    break;
                }
            }
        }
        self.account.has_room(needed)
    }

    /// The value, made before a lock is taken.
    fn checked(&self, key: &str, value: &[u8]) -> Result<Arc<[u8]>, Error> {
        if value.len() > MAX_VALUE || charge(key.len(), value.len()) > self.quota() {
            return Err(Error::ValueTooLong(value.len()));
        }
        Ok(value.into())
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let [first, ..] = &self.shards;
        let index = self.hasher.hash_one(key) % SHARDS as u64;
        // The remainder is always within; the first one stands in for a panic that cannot be.
        let shard = usize::try_from(index).ok().and_then(|it| self.shards.get(it));
        shard.unwrap_or(first).0.lock()
    }
}

const fn check_key(key: &str) -> Result<(), Error> {
    if key.len() > MAX_KEY {
        return Err(Error::KeyTooLong(key.len()));
    }
    Ok(())
}

/// When an entry expires; never, if that is further away than the clock can say.
fn expiry(ttl: Option<Duration>, now: Instant) -> Option<Instant> {
    now.checked_add(ttl?)
}

/// The number, if it is written as increments write it: no plus, no zeros before it, no spaces.
fn integer(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests;

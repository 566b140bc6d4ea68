//! A store in memory, shared by all workers of a gateway, one namespace per plugin. Capability `kv`.

use std::time::Duration;

use super::milliseconds;
use crate::bindings::weir::policy::kv as host;

pub use crate::bindings::weir::policy::kv::{Entry, Error, delete, get, keys};

/// Sets an entry. It ends after `ttl`, or never.
///
/// # Errors
/// When there is no room for it.
pub fn set(key: &str, value: impl AsRef<[u8]>, ttl: Option<Duration>) -> Result<(), Error> {
    host::set(key, value.as_ref(), ttl_ms(ttl))
}

/// Sets an entry only when it still has that version; version 0 means that there is none. False when it has
/// another.
///
/// # Errors
/// When there is no room for it.
pub fn compare_and_set(
    key: &str,
    version: u64,
    value: impl AsRef<[u8]>,
    ttl: Option<Duration>,
) -> Result<bool, Error> {
    host::compare_and_set(key, version, value.as_ref(), ttl_ms(ttl))
}

/// Adds to a decimal integer, 0 when there is no entry, and answers the sum. `ttl` counts only for an entry
/// that is made.
///
/// # Errors
/// When the entry is no integer, the sum does not fit one, or there is no room.
pub fn increment(key: &str, delta: i64, ttl: Option<Duration>) -> Result<i64, Error> {
    host::increment(key, delta, ttl_ms(ttl))
}

/// Changes an entry as if nobody else did: `change` gets the value there is and answers the new one, or `None`
/// to leave it. It is asked again each time another worker was faster, so it must have no effects of its own.
/// Answers what is stored then.
///
/// ```no_run
/// use weir_sdk::kv;
///
/// # fn tokens() -> Result<bool, kv::Error> {
/// // Takes one of ten tokens, if there is one left.
/// let mut taken = false;
/// kv::update("tokens", None, |old| {
///     let left = old.map_or(10, |old| u64::from(*old.first().unwrap_or(&0)));
///     taken = left > 0;
///     taken.then(|| vec![(left - 1) as u8])
/// })?;
/// # Ok(taken) }
/// ```
///
/// # Errors
/// When there is no room for the new value.
pub fn update(
    key: &str,
    ttl: Option<Duration>,
    change: impl FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>, Error> {
    let replace = |version, value: &[u8]| compare_and_set(key, version, value, ttl);
    update_by(|| get(key), replace, change)
}

fn update_by(
    mut current: impl FnMut() -> Option<Entry>,
    mut replace: impl FnMut(u64, &[u8]) -> Result<bool, Error>,
    mut change: impl FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>, Error> {
    // Without a bound: each failed attempt is another's success, and the call's deadline ends it anyway.
    loop {
        let old = current();
        let Some(new) = change(old.as_ref().map(|entry| entry.value.as_slice())) else {
            return Ok(old.map(|entry| entry.value));
        };
        if replace(old.map_or(0, |entry| entry.version), &new)? {
            return Ok(Some(new));
        }
    }
}

fn ttl_ms(ttl: Option<Duration>) -> u64 {
    ttl.map_or(0, milliseconds)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// An entry that others change `rivals` times, each time just before it is replaced.
    fn check(start: Option<u8>, rivals: u64, expect: Option<u8>) {
        let entry = RefCell::new(start.map(|value| (vec![value], 1)));
        let left = RefCell::new(rivals);
        let current = || {
            let (value, version) = entry.borrow().clone()?;
            Some(Entry { value, version })
        };
        let replace = |version, value: &[u8]| {
            let mut entry = entry.borrow_mut();
            let now = entry.as_ref().map_or(0, |(_, version)| *version);
            if *left.borrow() > 0 {
                *left.borrow_mut() -= 1;
                let value = entry.as_ref().map_or(0, |(value, _)| value.iter().sum());
                *entry = Some((vec![value + 10], now + 1));
                return Ok(false);
            }
            if version == now {
                *entry = Some((value.to_vec(), now + 1));
            }
            Ok(version == now)
        };
        let change = |old: Option<&[u8]>| Some(vec![old.unwrap_or_default().iter().sum::<u8>() + 1]);
        let stored = update_by(current, replace, change).unwrap();
        assert_eq!(stored, expect.map(|value| vec![value]));
        assert_eq!(entry.into_inner().map(|(value, _)| value), stored);
    }

    #[test]
    fn an_update_counts_what_others_wrote_meanwhile() {
        check(None, 0, Some(1));
        check(Some(4), 0, Some(5));
        check(Some(4), 3, Some(35));
        check(None, 1, Some(11));
    }

    #[test]
    fn an_update_that_changes_nothing_writes_nothing() {
        let entry = || Entry {
            value: vec![9],
            version: 3,
        };
        let stored = update_by(|| Some(entry()), |_, _| Err(Error::OverQuota), |_| None);
        assert_eq!(stored, Ok(Some(vec![9])));
    }

    #[test]
    fn an_update_without_room_is_an_error() {
        let stored = update_by(|| None, |_, _| Err(Error::OverQuota), |_| Some(vec![1]));
        assert_eq!(stored, Err(Error::OverQuota));
    }
}

//! Any sequence of operations gives what a plain map with expiry gives.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use weir_kv::{ENTRY_OVERHEAD, Error, Namespace, Store};

const QUOTA: u64 = 5 * (ENTRY_OVERHEAD + 20);

#[derive(Clone, Debug)]
enum Operation {
    Get(u8),
    Set(u8, Vec<u8>, Option<u64>),
    /// With the version of the last read of that key, or with none.
    CompareAndSet(u8, bool, Vec<u8>, Option<u64>),
    Increment(u8, i64, Option<u64>),
    Delete(u8),
    Keys(u8, usize),
    Collect(usize),
    Wait(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = || 0..8_u8;
    let value = || {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            any::<i8>().prop_map(|number| number.to_string().into_bytes()),
        ]
    };
    let ttl = || prop::option::of(0..20_u64);
    let delta = prop_oneof![9 => -9..9_i64, 1 => any::<i64>()];
    prop_oneof![
        key().prop_map(Operation::Get),
        (key(), value(), ttl()).prop_map(|(key, value, ttl)| Operation::Set(key, value, ttl)),
        (key(), any::<bool>(), value(), ttl())
            .prop_map(|(key, known, value, ttl)| Operation::CompareAndSet(key, known, value, ttl)),
        (key(), delta, ttl()).prop_map(|(key, delta, ttl)| Operation::Increment(key, delta, ttl)),
        key().prop_map(Operation::Delete),
        (0..3_u8, 0..9_usize).prop_map(|(prefix, limit)| Operation::Keys(prefix, limit)),
        (0..3_usize).prop_map(Operation::Collect),
        (0..15_u64).prop_map(Operation::Wait),
    ]
}

/// Keys of which some begin like others.
fn name(key: u8) -> String {
    format!("{}{}", "a".repeat(1 + usize::from(key % 3)), key)
}

#[derive(Default)]
struct Model {
    entries: BTreeMap<String, (Vec<u8>, Option<u64>)>,
    now: u64,
}

impl Model {
    fn expire(&mut self) {
        let now = self.now;
        self.entries
            .retain(|_, (_, expires)| expires.is_none_or(|expires| expires > now));
    }

    fn used(&self) -> u64 {
        let charges = self
            .entries
            .iter()
            .map(|(key, (value, _))| (key.len() + value.len()) as u64 + ENTRY_OVERHEAD);
        charges.sum()
    }

    /// Whether it fits; then it is there.
    fn put(&mut self, key: &str, value: &[u8], expires: Option<u64>) -> bool {
        let old = self.entries.insert(key.into(), (value.to_vec(), expires));
        if self.used() <= QUOTA {
            return true;
        }
        match old {
            Some(old) => self.entries.insert(key.into(), old),
            None => self.entries.remove(key),
        };
        false
    }

    fn add(&mut self, key: &str, delta: i64, expires: Option<u64>) -> Option<Result<i64, Error>> {
        let (start, expires) = match self.entries.get(key) {
            None => (0, expires),
            Some((value, expires)) => {
                let text = String::from_utf8(value.clone()).ok();
                let number = text.and_then(|text| {
                    let number: i64 = text.parse().ok()?;
                    (number.to_string() == text).then_some(number)
                });
                match number {
                    None => return Some(Err(Error::NotInteger)),
                    Some(number) => (number, *expires),
                }
            }
        };
        let Some(sum) = start.checked_add(delta) else {
            return Some(Err(Error::Overflow));
        };
        self.put(key, sum.to_string().as_bytes(), expires)
            .then_some(Ok(sum))
    }
}

struct Run {
    namespace: std::sync::Arc<Namespace>,
    model: Model,
    start: Instant,
    read: BTreeMap<String, u64>,
    versions: HashSet<u64>,
}

impl Run {
    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.model.now)
    }

    fn expires(&self, ttl: Option<u64>) -> Option<u64> {
        ttl.map(|ttl| self.model.now + ttl)
    }

    fn apply(&mut self, operation: &Operation) {
        let now = self.now();
        match operation {
            Operation::Get(key) => self.get(&name(*key)),
            Operation::Set(key, value, ttl) => {
                let key = name(*key);
                let written = self
                    .namespace
                    .set(&key, value, ttl.map(Duration::from_millis), now);
                let fits = self.model.put(&key, value, self.expires(*ttl));
                assert_eq!(written.is_ok(), fits, "{written:?}");
                written.into_iter().for_each(|version| self.is_new(version));
            }
            Operation::CompareAndSet(key, known, value, ttl) => {
                self.compare_and_set(&name(*key), *known, value, *ttl);
            }
            Operation::Increment(key, delta, ttl) => {
                let key = name(*key);
                let sum = self
                    .namespace
                    .increment(&key, *delta, ttl.map(Duration::from_millis), now);
                match self.model.add(&key, *delta, self.expires(*ttl)) {
                    Some(expected) => assert_eq!(sum, expected),
                    None => assert!(matches!(sum, Err(Error::OverQuota { .. })), "{sum:?}"),
                }
            }
            Operation::Delete(key) => {
                self.namespace.delete(&name(*key));
                self.model.entries.remove(&name(*key));
            }
            Operation::Keys(prefix, limit) => {
                let prefix = "a".repeat(usize::from(*prefix));
                let keys = self.namespace.keys(&prefix, *limit, now);
                let all = self.model.entries.keys();
                let expected: Vec<_> = all.filter(|it| it.starts_with(&prefix)).take(*limit).collect();
                assert!(keys.iter().map(|it| &**it).eq(expected));
            }
            Operation::Collect(most) => assert!(self.namespace.collect(*most, now) <= *most),
            Operation::Wait(millis) => self.model.now += millis,
        }
    }

    fn get(&mut self, key: &str) {
        let entry = self.namespace.get(key, self.now());
        let expected = self.model.entries.get(key).map(|(value, _)| value.as_slice());
        assert_eq!(entry.as_ref().map(|entry| &*entry.value), expected);
        self.read
            .insert(key.into(), entry.map_or(0, |entry| entry.version));
    }

    fn compare_and_set(&mut self, key: &str, known: bool, value: &[u8], ttl: Option<u64>) {
        let now = self.now();
        let version = if known {
            self.read.get(key).copied().unwrap_or_default()
        } else {
            0
        };
        let current = self.namespace.get(key, now).map_or(0, |entry| entry.version);
        let swapped =
            self.namespace
                .compare_and_set(key, version, value, ttl.map(Duration::from_millis), now);
        if version != current {
            assert_eq!(swapped, Ok(None));
            return;
        }
        let fits = self.model.put(key, value, self.expires(ttl));
        assert_eq!(matches!(swapped, Ok(Some(_))), fits, "{swapped:?}");
        swapped
            .into_iter()
            .flatten()
            .for_each(|version| self.is_new(version));
    }

    fn is_new(&mut self, version: u64) {
        assert!(version > 0 && self.versions.insert(version), "{version} again");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_namespace_is_a_map_with_expiry_and_a_quota(operations in prop::collection::vec(operation(), 1..120)) {
        let mut run = Run {
            namespace: Store::new().namespace("model", QUOTA),
            model: Model::default(),
            start: Instant::now(),
            read: BTreeMap::new(),
            versions: HashSet::new(),
        };
        for operation in &operations {
            run.apply(operation);
            run.model.expire();
            prop_assert!(run.namespace.used() <= QUOTA);
            prop_assert!(run.namespace.used() >= run.model.used());
        }
        run.namespace.collect(usize::MAX, run.now());
        prop_assert_eq!(run.namespace.used(), run.model.used());
    }
}

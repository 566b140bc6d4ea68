//! Many threads on one namespace: nothing is lost, and the quota holds at every moment.

#![allow(clippy::unwrap_used, reason = "a test that meets something else has failed")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use weir_kv::{ENTRY_OVERHEAD, Store};

const THREADS: usize = 8;

#[test]
fn increments_of_many_threads_are_all_there() {
    let (store, now) = (Store::new(), Instant::now());
    let kept = store.namespace("default/limit", 10_000);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let namespace = store.namespace("default/limit", 10_000);
            scope.spawn(move || {
                for _ in 0..5_000 {
                    namespace.increment("one", 1, None, now).unwrap();
                }
            });
        }
    });
    assert_eq!(kept.increment("one", 0, None, now), Ok(40_000));
}

#[test]
fn compare_and_set_lets_exactly_one_through_each_time() {
    let (store, now) = (Store::new(), Instant::now());
    let namespace = store.namespace("default/cas", 10_000);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..1_000).for_each(|_| add_by_compare_and_set(&namespace, now)));
        }
    });
    assert_eq!(&*namespace.get("sum", now).unwrap().value, b"8000");
}

fn add_by_compare_and_set(namespace: &weir_kv::Namespace, now: Instant) {
    loop {
        let old = namespace.get("sum", now);
        let (number, version) = old.map_or((0, 0), |entry| {
            let text = std::str::from_utf8(&entry.value).unwrap();
            (text.parse::<u64>().unwrap(), entry.version)
        });
        let new = (number + 1).to_string();
        let swapped = namespace.compare_and_set("sum", version, new.as_bytes(), None, now);
        if swapped.unwrap().is_some() {
            return;
        }
    }
}

#[test]
fn the_quota_holds_at_every_moment_of_a_race_and_the_account_is_exact_after_it() {
    const QUOTA: u64 = 40 * ENTRY_OVERHEAD;
    let (store, start) = (Store::new(), Instant::now());
    let namespace = store.namespace("default/full", QUOTA);
    let done = AtomicBool::new(false);
    let (refused, largest) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut largest = 0;
            while !done.load(Ordering::Relaxed) {
                largest = largest.max(namespace.used());
            }
            largest
        });
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn({
                    let namespace = &namespace;
                    move || write_at_random(namespace, thread as u64, start)
                })
            })
            .collect();
        let refused: u32 = writers.into_iter().map(|it| it.join().unwrap()).sum();
        done.store(true, Ordering::Relaxed);
        (refused, watcher.join().unwrap())
    });
    assert!(refused > 0, "the quota was never met");
    assert!(largest <= QUOTA && largest > QUOTA / 2, "{largest} of {QUOTA}");
    namespace.collect(usize::MAX, start + Duration::from_secs(3600));
    let keys = namespace.keys("", usize::MAX, start);
    let charge = |key: &str| {
        let value = namespace.get(key, start).unwrap().value;
        key.len() as u64 + value.len() as u64 + ENTRY_OVERHEAD
    };
    assert_eq!(namespace.used(), keys.iter().map(|key| charge(key)).sum::<u64>());
    keys.iter().for_each(|key| namespace.delete(key));
    assert_eq!(namespace.used(), 0);
}

/// Sets, deletes and lets expire; says how often there was no room.
fn write_at_random(namespace: &weir_kv::Namespace, seed: u64, start: Instant) -> u32 {
    let mut random = seed + 1;
    let mut refused = 0;
    for step in 0..5_000_u64 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let key = format!("{}", (random >> 33) % 100);
        let now = start + Duration::from_millis(step);
        let ttl = (random >> 20 & 1 == 0).then_some(Duration::from_millis(50));
        let value = vec![b'x'; (random >> 40) as usize % 300];
        let written = match random >> 60 {
            0..3 => {
                namespace.delete(&key);
                Ok(0)
            }
            _ => namespace.set(&key, &value, ttl, now),
        };
        refused += u32::from(written.is_err());
    }
    refused
}

//! What one plugin sees of its namespace, with a clock that only these tests move.

use super::*;
use crate::ENTRY_OVERHEAD;

const SECOND: Duration = Duration::from_secs(1);

fn namespace() -> (Namespace, Instant) {
    (Namespace::new(1 << 20), Instant::now())
}

fn value(namespace: &Namespace, key: &str, now: Instant) -> Option<String> {
    let entry = namespace.get(key, now)?;
    Some(String::from_utf8(entry.value.to_vec()).unwrap())
}

fn keys(namespace: &Namespace, prefix: &str, limit: usize, now: Instant) -> Vec<String> {
    let keys = namespace.keys(prefix, limit, now);
    keys.iter().map(ToString::to_string).collect()
}

#[test]
fn an_entry_is_there_until_the_very_moment_it_expires() {
    let (namespace, now) = namespace();
    namespace.set("a", b"1", Some(SECOND), now).unwrap();
    let last = now + SECOND - Duration::from_nanos(1);
    assert_eq!(value(&namespace, "a", last).as_deref(), Some("1"));
    assert_eq!(keys(&namespace, "", 9, last), ["a"]);
    assert_eq!(keys(&namespace, "", 9, now + SECOND), [""; 0]);
    assert_eq!(value(&namespace, "a", now + SECOND), None);
    assert_eq!(namespace.used(), 0, "a read frees what it finds expired");
}

#[test]
fn a_new_value_has_a_new_time_to_live() {
    let (namespace, now) = namespace();
    namespace.set("a", b"1", Some(SECOND), now).unwrap();
    namespace.set("a", b"2", None, now).unwrap();
    assert_eq!(value(&namespace, "a", now + 100 * SECOND).as_deref(), Some("2"));
    namespace.set("a", b"3", Some(5 * SECOND), now).unwrap();
    namespace.set("b", b"", Some(Duration::MAX), now).unwrap();
    assert_eq!(namespace.collect(9, now + 5 * SECOND), 1);
    assert_eq!(keys(&namespace, "", 9, now), ["b"]);
}

#[test]
fn versions_grow_and_are_never_used_again() {
    let (namespace, now) = namespace();
    let first = namespace.set("a", b"1", None, now).unwrap();
    assert!(first > 0);
    namespace.delete("a");
    let second = namespace.set("a", b"1", None, now).unwrap();
    assert!(second > first);
    assert_eq!(namespace.get("a", now).unwrap().version, second);
    assert_eq!(namespace.compare_and_set("a", first, b"2", None, now), Ok(None));
    assert_eq!(value(&namespace, "a", now).as_deref(), Some("1"));
    let third = namespace.compare_and_set("a", second, b"2", None, now).unwrap();
    assert_eq!(third, Some(namespace.get("a", now).unwrap().version));
    assert!(third > Some(second));
}

#[test]
fn version_zero_stands_for_no_entry_and_for_an_expired_one() {
    let (namespace, now) = namespace();
    let made = namespace.compare_and_set("a", 0, b"1", Some(SECOND), now);
    assert!(made.unwrap().is_some());
    assert_eq!(namespace.compare_and_set("a", 0, b"2", None, now), Ok(None));
    let again = namespace.compare_and_set("a", 0, b"2", None, now + SECOND);
    assert!(again.unwrap().is_some());
}

#[test]
fn an_increment_is_a_decimal_number_that_everybody_can_read() {
    let (namespace, now) = namespace();
    assert_eq!(namespace.increment("a", 5, None, now), Ok(5));
    assert_eq!(namespace.increment("a", -12, None, now), Ok(-7));
    assert_eq!(value(&namespace, "a", now).as_deref(), Some("-7"));
    namespace.set("a", b"40", None, now).unwrap();
    assert_eq!(namespace.increment("a", 2, None, now), Ok(42));
}

#[test]
fn only_the_first_increment_sets_the_time_to_live() {
    let (namespace, now) = namespace();
    namespace.increment("a", 1, Some(2 * SECOND), now).unwrap();
    namespace
        .increment("a", 1, Some(2 * SECOND), now + SECOND)
        .unwrap();
    assert_eq!(
        namespace.increment("a", 1, Some(SECOND), now + 2 * SECOND),
        Ok(1),
        "the window ended two seconds after its first increment"
    );
    assert_eq!(value(&namespace, "a", now + 3 * SECOND), None);
}

#[test]
fn an_increment_refuses_what_is_no_integer_or_would_not_be_one() {
    let (namespace, now) = namespace();
    for text in ["", "x", "+1", "01", " 1", "1.0", "-0", "9223372036854775808"] {
        namespace.set("a", text.as_bytes(), None, now).unwrap();
        assert_eq!(
            namespace.increment("a", 1, None, now),
            Err(Error::NotInteger),
            "{text}"
        );
        assert_eq!(value(&namespace, "a", now).as_deref(), Some(text));
    }
    for (start, delta) in [(i64::MAX, 1), (i64::MIN, -1)] {
        namespace
            .set("a", start.to_string().as_bytes(), None, now)
            .unwrap();
        assert_eq!(namespace.increment("a", delta, None, now), Err(Error::Overflow));
        assert_eq!(value(&namespace, "a", now), Some(start.to_string()));
    }
}

#[test]
fn keys_come_in_order_with_their_prefix_and_no_more_than_asked_for() {
    let (namespace, now) = namespace();
    for number in (0..100).rev() {
        let key = format!("user/{number:02}");
        namespace.set(&key, b"", None, now).unwrap();
    }
    namespace.set("user", b"", None, now).unwrap();
    namespace.set("zone", b"", None, now).unwrap();
    assert_eq!(
        keys(&namespace, "user/", 3, now),
        ["user/00", "user/01", "user/02"]
    );
    assert_eq!(keys(&namespace, "user/9", 100, now).len(), 10);
    assert_eq!(keys(&namespace, "user/", 0, now), [""; 0]);
    assert_eq!(keys(&namespace, "", usize::MAX, now).len(), 102);
}

#[test]
fn sizes_have_limits() {
    let (namespace, now) = (Namespace::new(8 << 20), Instant::now());
    let key = "k".repeat(MAX_KEY);
    namespace.set(&key, &vec![0; MAX_VALUE], None, now).unwrap();
    let long = "k".repeat(MAX_KEY + 1);
    let refused = Err(Error::KeyTooLong(513));
    assert_eq!(namespace.set(&long, b"", None, now), refused);
    assert_eq!(namespace.increment(&long, 1, None, now).map(|_| 0), refused);
    let value = vec![0; MAX_VALUE + 1];
    let refused = Err(Error::ValueTooLong(MAX_VALUE + 1));
    assert_eq!(namespace.set("a", &value, None, now), refused);
    assert_eq!(
        namespace.compare_and_set("a", 0, &value, None, now).map(|_| 0),
        refused
    );
    namespace.set_quota(1000);
    assert_eq!(
        namespace.set("a", &[0; 800], None, now),
        Err(Error::ValueTooLong(800)),
        "it could never fit"
    );
}

#[test]
fn a_full_namespace_refuses_and_gives_up_nothing_that_lives() {
    let entry = 1 + 99 + ENTRY_OVERHEAD;
    let (namespace, now) = (Namespace::new(3 * entry), Instant::now());
    for key in ["a", "b", "c"] {
        namespace.set(key, &[b'x'; 99], None, now).unwrap();
    }
    assert_eq!(namespace.used(), 3 * entry);
    let refused = Error::OverQuota {
        used: 3 * entry,
        quota: 3 * entry,
        needed: ENTRY_OVERHEAD + 1,
    };
    assert_eq!(namespace.set("d", b"", None, now), Err(refused));
    assert!(matches!(
        namespace.increment("d", 1, None, now),
        Err(Error::OverQuota { .. })
    ));
    assert!(matches!(
        namespace.set("a", &[0; 100], None, now),
        Err(Error::OverQuota { needed: 1, .. })
    ));
    assert_eq!(keys(&namespace, "", 9, now), ["a", "b", "c"]);
    namespace.set("a", &[0; 99], None, now).unwrap();
    namespace.delete("b");
    namespace.set("d", b"", None, now).unwrap();
}

#[test]
fn expired_entries_give_their_room_to_whoever_needs_it_and_no_more_than_that() {
    let (namespace, now) = (Namespace::new(1000 * (ENTRY_OVERHEAD + 3)), Instant::now());
    for number in 0..1000 {
        let key = format!("{number:03}");
        namespace.set(&key, b"", Some(SECOND), now).unwrap();
    }
    assert!(namespace.set("new", b"", None, now).is_err());
    namespace.set("new", b"", None, now + SECOND).unwrap();
    let left = namespace.used() / (ENTRY_OVERHEAD + 3);
    assert!((900..1000).contains(&left), "{left} are left: work is bounded");
    namespace.set("large", &[0; 100_000], None, now + SECOND).unwrap();
    assert_eq!(keys(&namespace, "", 9, now + SECOND), ["large", "new"]);
}

#[test]
fn writes_keep_up_with_what_expires() {
    let (namespace, start) = namespace();
    for number in 0..20_000_u32 {
        let now = start + Duration::from_millis(number.into());
        let key = format!("{number}");
        namespace
            .set(&key, b"", Some(Duration::from_millis(100)), now)
            .unwrap();
    }
    let kept = namespace.used() / ENTRY_OVERHEAD;
    assert!(kept < 300, "about 100 live and few more are kept, not {kept}");
}

#[test]
fn a_lowered_quota_keeps_what_is_there_and_lets_it_only_shrink() {
    let (namespace, now) = namespace();
    namespace.set("a", &[0; 1000], None, now).unwrap();
    namespace.set_quota(900);
    assert!(namespace.set("b", b"", None, now).is_err());
    assert!(namespace.get("a", now).is_some());
    namespace.set("a", &[0; 100], None, now).unwrap();
    namespace.set("b", b"", None, now).unwrap();
    assert!(namespace.used() <= 900);
}

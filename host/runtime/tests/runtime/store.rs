//! Capability `kv`, as the guest `kv_probe` uses it.

use std::sync::Arc;

use weir_filter::Filter;
use weir_model::{Capability, ChainFilter, Plugin};
use weir_runtime::{EngineConfig, Runtime};

use crate::harness::{
    Calls as _, TextPolicy, chain_filter, custom, exchange, guest, measured, plugin, runtime, series,
};

fn named(runtime: &Runtime, name: &str, quota: u64) -> Arc<dyn Filter> {
    let change = |plugin: &mut Plugin, _: &mut ChainFilter| {
        name.clone_into(&mut plugin.name);
        plugin.capabilities = vec![Capability::Kv];
        plugin.limits.kv_bytes = quota;
    };
    custom(runtime, "kv_probe", "", change).1
}

fn ask(filter: &Arc<dyn Filter>, script: &'static str) -> String {
    let mut exchange = exchange(&[("x-kv", script)]);
    filter.on_request_head(&mut exchange).unwrap();
    exchange.request.headers["x-kv-result"]
        .to_str()
        .unwrap()
        .to_owned()
}

#[track_caller]
fn check(script: &'static str, expect: &str) {
    assert_eq!(ask(&named(&runtime(), "test/kv", 1 << 20), script), expect);
}

#[test]
fn an_entry_is_written_read_and_deleted() {
    check(
        "get a; set a 1; get a; set a 2; get a; del a; get a; del a",
        "(none);ok;1;ok;2;ok;(none);ok",
    );
}

#[test]
fn keys_are_listed_by_prefix_in_order() {
    check(
        "set b/2 x; set a/1 x; set b/1 x; keys b/ 9; keys * 2; keys * 0",
        "ok;ok;ok;b/1,b/2;a/1,b/1;",
    );
}

#[test]
fn an_entry_is_written_only_over_the_version_that_was_read() {
    check(
        "cas a 0 new; cas a 0 again; get a; cas a last next; cas a last stale; get a",
        "true;false;new;true;false;next",
    );
}

#[test]
fn numbers_are_added_to() {
    check(
        "incr n 5; incr n -7; get n; set t text; incr t 1; incr n -9223372036854775807; update n 3",
        "5;-2;-2;ok;not-a-number;not-a-number;1",
    );
}

#[test]
fn an_entry_lives_as_long_as_it_was_told() {
    let filter = named(&runtime(), "test/kv", 1 << 20);
    assert_eq!(
        ask(&filter, "set short 1 1; set long 1 3600000; incr made 1 1"),
        "ok;ok;1"
    );
    let mut tries = 0;
    while ask(&filter, "get short; get made") != "(none);(none)" {
        tries += 1;
        assert!(tries < 100_000, "a millisecond has passed");
    }
    assert_eq!(ask(&filter, "get long"), "1");
}

#[test]
fn sizes_are_bounded() {
    let filter = named(&runtime(), "test/kv", 64 << 10);
    let script = "fill a 40000; fill b 40000; get b; del a; fill b 40000; fill c 2000000";
    let answers = ask(&filter, script);
    let (first, rest) = answers.split_at("ok;over-quota;(none);ok;ok;".len());
    assert_eq!((first, rest), ("ok;over-quota;(none);ok;ok;", "too-large"));
}

#[test]
fn plugins_do_not_see_each_other_and_filters_of_one_do() {
    let runtime = runtime();
    let (a, b) = (
        named(&runtime, "test/a", 1 << 20),
        named(&runtime, "test/b", 1 << 20),
    );
    assert_eq!(ask(&a, "set k of-a"), "ok");
    assert_eq!(ask(&b, "get k; keys * 9; set k of-b"), "(none);;ok");
    assert_eq!(ask(&named(&runtime, "test/a", 1 << 20), "get k"), "of-a");
}

#[test]
fn entries_outlive_a_new_version_of_their_plugin() {
    let (runtime, registry) = measured(EngineConfig::small());
    let change = |plugin: &mut Plugin, _: &mut ChainFilter| {
        "test/kv".clone_into(&mut plugin.name);
        plugin.capabilities = vec![Capability::Kv];
    };
    let old = custom(&runtime, "kv_probe", "", change);
    assert_eq!(ask(&old.1, "set k kept"), "ok");
    let used = || series(&registry, r#"weir_plugin_kv_bytes{plugin="test/kv"}"#);
    assert!(used() > 0.0);

    // The same component with a custom section more: other bytes, another digest.
    let mut bytes = guest("kv_probe");
    bytes.extend([0, 3, 1, b'x', 0]);
    let plugin = Plugin {
        name: "test/kv".to_owned(),
        capabilities: vec![Capability::Kv],
        ..plugin("kv")
    };
    let filter = ChainFilter {
        capabilities: vec![Capability::Kv],
        ..chain_filter("")
    };
    let new = runtime.load(&plugin, &bytes).unwrap().filter(&filter).unwrap();
    drop(old);
    assert_eq!(ask(&new, "get k"), "kept");
}

#[test]
fn the_store_is_there_while_a_plugin_is_configured() {
    let parts = r#"
        (import "weir:policy/kv@0.1.0" "set" (func $set (param i32 i32 i32 i32 i64 i32)))
        (data (i32.const 512) "made")"#;
    let configure = "(call $set (i32.const 512) (i32.const 4) (i32.const 512) (i32.const 4) (i64.const 0) (i32.const 128))";
    let bytes = TextPolicy {
        imports: &["kv"],
        parts,
        configure,
        ..TextPolicy::default()
    }
    .bytes();
    let runtime = runtime();
    let plugin = Plugin {
        name: "test/kv".to_owned(),
        capabilities: vec![Capability::Kv],
        ..plugin("kv")
    };
    let filter = ChainFilter {
        capabilities: vec![Capability::Kv],
        ..chain_filter("")
    };
    let loaded = runtime.load(&plugin, &bytes).unwrap();
    let _filter = loaded.filter(&filter).unwrap();
    assert_eq!(ask(&named(&runtime, "test/kv", 1 << 20), "get made"), "made");
}

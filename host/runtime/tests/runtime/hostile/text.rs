//! Attacks that no compiler would write.

use std::time::Duration;

use weir_filter::FailureReason;
use weir_model::{Capability, ChainFilter, Plugin};

use crate::harness::{Calls as _, TextPolicy, chain_filter, exchange, plugin, runtime};

/// Calls itself for ever, and the host at every depth.
fn recurses() -> Vec<u8> {
    let parts = r#"(import "weir:policy/request@0.1.0" "set-path" (func $path (param i32 i32)))
        (data (i32.const 512) "/deep")
        (func $deeper (call $path (i32.const 512) (i32.const 5)) (call $deeper))"#;
    TextPolicy {
        imports: &["request"],
        parts,
        head: "(call $deeper)",
        ..TextPolicy::default()
    }
    .bytes()
}

#[test]
fn a_stack_that_is_used_up_is_the_guests_own() {
    let loaded = runtime().load(&plugin("text"), &recurses()).unwrap();
    let filter = loaded.filter(&chain_filter("")).unwrap();
    let mut exchange = exchange(&[]);
    let error = filter.on_request_head(&mut exchange).unwrap_err();
    assert_eq!(error.reason, FailureReason::Trap, "{error}");
    assert!(error.message.contains("call stack exhausted"), "{error}");
    assert_eq!(exchange.request.path_and_query(), "/deep");
}

#[test]
fn a_guest_that_calls_the_host_before_it_is_configured_gets_nothing() {
    let parts = r#"
        (import "weir:policy/kv@0.1.0" "set" (func $set (param i32 i32 i32 i32 i64 i32)))
        (import "weir:policy/exchange@0.1.0" "note-set" (func $note (param i32 i32 i32 i32)))
        (import "weir:policy/grpc@0.1.0" "receive" (func $receive (param i32 i32)))
        (import "weir:policy/log@0.1.0" "write" (func $log (param i32 i32 i32)))
        (import "weir:policy/metrics@0.1.0" "add" (func $add (param i32 i32 i32 i32 i64)))
        (import "weir:policy/sink@0.1.0" "write" (func $sink (param i32 i32 i32 i32)))
        (data (i32.const 512) "early")
        (func (export "_initialize")
          (call $set (i32.const 512) (i32.const 5) (i32.const 512) (i32.const 5) (i64.const 0) (i32.const 128))
          ;; An error: there is no plugin yet that the entry could belong to.
          (if (i32.ne (i32.load8_u (i32.const 128)) (i32.const 1)) (then unreachable))
          (call $note (i32.const 512) (i32.const 5) (i32.const 512) (i32.const 5))
          (call $receive (i32.const 0) (i32.const 128))
          (if (i32.ne (i32.load8_u (i32.const 128)) (i32.const 1)) (then unreachable))
          (call $log (i32.const 4) (i32.const 512) (i32.const 5))
          (call $add (i32.const 512) (i32.const 5) (i32.const 0) (i32.const 0) (i64.const 1))
          (call $sink (i32.const 0) (i32.const 512) (i32.const 5) (i32.const 128))
          (if (i32.ne (i32.load8_u (i32.const 128)) (i32.const 1)) (then unreachable)))"#;
    let bytes = TextPolicy {
        imports: &["kv", "exchange", "grpc", "log", "metrics", "sink"],
        parts,
        ..TextPolicy::default()
    }
    .bytes();
    let grants = ["kv", "upstream", "log", "metrics", "sink:/a"].map(|it| it.parse::<Capability>().unwrap());
    let early = Plugin {
        capabilities: grants.to_vec(),
        ..plugin("text")
    };
    let filter = ChainFilter {
        capabilities: grants.to_vec(),
        ..chain_filter("")
    };
    let filter = runtime().load(&early, &bytes).unwrap().filter(&filter).unwrap();
    let mut exchange = exchange(&[]);
    filter.on_request_head(&mut exchange).unwrap();
    assert_eq!(exchange.notes_size(), 0);
}

/// Replies with a list of a million fields that all are the same mebibyte.
fn amplifies() -> Vec<u8> {
    let parts = r#"(import "weir:policy/exchange@0.1.0" "reply"
        (func $reply (param i32 i32 i32 i32 i32)))"#;
    let head = "(local $at i32)
        (drop (memory.grow (i32.const 320)))
        (local.set $at (i32.const 2097152))
        (loop $next
          (i32.store (local.get $at) (i32.const 1048576))
          (i32.store offset=4 (local.get $at) (i32.const 1))
          (i32.store offset=8 (local.get $at) (i32.const 1048576))
          (i32.store offset=12 (local.get $at) (i32.const 1048576))
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (br_if $next (i32.lt_u (local.get $at) (i32.const 18874368))))
        (call $reply (i32.const 200) (i32.const 2097152) (i32.const 1048576) (i32.const 0) (i32.const 0))";
    TextPolicy {
        imports: &["exchange"],
        parts,
        head,
        ..TextPolicy::default()
    }
    .bytes()
}

#[test]
fn a_list_that_names_the_same_bytes_again_and_again_is_refused_early() {
    let loaded = runtime().load(&plugin("text"), &amplifies()).unwrap();
    let mut filter = chain_filter("");
    filter.limits.deadline = Duration::from_secs(10);
    let filter = loaded.filter(&filter).unwrap();
    let error = filter.on_request_head(&mut exchange(&[])).unwrap_err();
    assert_eq!(error.reason, FailureReason::Trap, "{error}");
    assert!(
        error.message.starts_with("too much data is being copied"),
        "{error}"
    );
}

//! What is refused before it can run, and what the refusal says.

use weir_model::Plugin;

use crate::harness::{chain_filter, component, guest, load, plugin, runtime};

fn refusal(plugin: &Plugin, bytes: &[u8]) -> String {
    runtime().load(plugin, bytes).unwrap_err().to_string()
}

fn check(bytes: &[u8], expect: &str) {
    let refusal = refusal(&plugin("p"), bytes);
    assert!(
        refusal.starts_with("plugin test/p: ") && refusal.contains(expect),
        "{refusal}"
    );
}

#[test]
fn an_empty_artifact_is_refused() {
    check(b"", "the artifact is empty");
}

#[test]
fn a_huge_artifact_is_refused() {
    check(
        &vec![0; (64 << 20) + 1],
        "the artifact has 67108865 bytes; at most 67108864 are accepted",
    );
}

#[test]
fn what_is_not_wasm_is_refused() {
    check(b"#!/bin/sh", "the artifact is not WebAssembly");
    check(b"\x7fELF\x02\x01\x01\0", "the artifact is not WebAssembly");
}

#[test]
fn a_core_module_is_refused_with_advice() {
    check(
        &wat::parse_str("(module)").unwrap(),
        "`wasm-tools component new module.wasm -o plugin.wasm`",
    );
}

#[test]
fn a_damaged_component_is_refused() {
    let mut bytes = guest("headers");
    bytes.truncate(bytes.len() / 2);
    check(&bytes, "the component does not compile: ");
}

#[test]
fn another_version_of_the_contract_is_refused() {
    check(
        &guest("new_wit"),
        "built against weir:policy@0.2.0, this gateway offers 0.1.0",
    );
}

#[test]
fn an_import_from_outside_the_contract_is_refused_with_advice() {
    let wit = "package test:foreign;
        interface clocks { now: func() -> u64; }
        world foreign { import clocks; export weir:policy/filter@0.1.0; }";
    check(
        &component(wit, "foreign", None),
        "it imports \"test:foreign/clocks\", which is not part of weir:policy",
    );
}

#[test]
fn a_component_that_is_no_policy_is_refused() {
    let wit = "package test:other; world other { export run: func(); }";
    check(
        &component(wit, "other", None),
        "it does not export weir:policy/filter@0.1.0",
    );
}

#[test]
fn a_pinned_digest_must_match() {
    let bytes = guest("headers");
    let digest = load(&runtime(), "headers").digest().to_owned();
    let pinned = |digest: String| Plugin {
        digest: Some(digest),
        ..plugin("p")
    };
    runtime().load(&pinned(digest.to_uppercase()), &bytes).unwrap();
    let other = format!("sha256:{}", "0".repeat(64));
    assert_eq!(
        refusal(&pinned(other.clone()), &bytes),
        format!(
            "plugin test/p: the artifact is {digest} but {other} is pinned; correct `digest` or the artifact"
        )
    );
}

#[test]
fn a_refused_configuration_is_reported_in_the_plugins_words() {
    let error = load(&runtime(), "refuses")
        .filter(&chain_filter("the words"))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "filter filter(the words): the plugin refuses the configuration: refused: the words"
    );
}

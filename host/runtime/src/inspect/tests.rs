//! What is read of an artifact, and what is refused.

use super::*;

fn module(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn a_module_is_known_by_the_marker_of_its_abi() {
    let proxy = module(
        r#"(module
            (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
            (func (export "proxy_abi_version_0_2_1"))
            (memory (export "memory") 1))"#,
    );
    let found = inspect(&proxy).unwrap();
    assert_eq!(found.kind, ArtifactKind::ProxyWasm("0.2.1".into()));
    assert_eq!(found.imports, ["env.proxy_log"]);
    assert_eq!(found.exports, ["proxy_abi_version_0_2_1", "memory"]);
    assert_eq!(inspect(&module("(module)")).unwrap().kind, ArtifactKind::Module);
}

#[test]
fn a_component_says_what_it_must_be_granted() {
    let component = module(
        r#"(component
            (import "weir:policy/kv@0.1.0" (instance))
            (import "weir:policy/upstream@0.1.0" (instance))
            (import "weir:policy/grpc@0.1.0" (instance))
            (import "weir:policy/request@0.1.0" (instance))
            (import "weir:policy/sink@0.2.0" (instance))
            (instance $filter)
            (export "weir:policy/filter@0.1.0" (instance $filter)))"#,
    );
    let found = inspect(&component).unwrap();
    assert_eq!(found.kind, ArtifactKind::Plugin(vec!["filter".into()]));
    assert_eq!(found.grants, ["kv", "sink:/PATH", "upstream"]);
    assert_eq!(found.contract, ["0.1.0", "0.2.0"]);
}

#[test]
fn other_components_are_told_apart() {
    let check = |text: &str, kind: ArtifactKind| assert_eq!(inspect(&module(text)).unwrap().kind, kind);
    check("(component)", ArtifactKind::Component);
    check(
        r#"(component (instance $it) (export "wasi:http/incoming-handler@0.2.3" (instance $it)))"#,
        ArtifactKind::HttpHandler,
    );
}

#[test]
fn the_schema_may_stand_in_the_component_or_in_its_module() {
    for text in [
        r#"(component (@custom "weir:schema" "{}"))"#,
        r#"(component (core module (@custom "weir:schema" "{}")))"#,
    ] {
        assert_eq!(
            inspect(&module(text)).unwrap().schema.as_deref(),
            Some("{}"),
            "{text}"
        );
    }
    let twice = r#"(component (@custom "weir:schema" "{}") (core module (@custom "weir:schema" "{}")))"#;
    let error = inspect(&module(twice)).unwrap_err().to_string();
    assert!(error.contains("weir:schema is there twice"), "{error}");
}

#[test]
fn a_schema_is_text_of_a_bounded_size() {
    let with = |schema: &[u8]| {
        // Id, size, length of the name, name, data.
        let mut size = 1 + SCHEMA_SECTION.len() + schema.len();
        let mut bytes = [&b"\0asm\x01\0\0\0\0"[..]].concat();
        while size > 127 {
            bytes.push((size & 127 | 128) as u8);
            size >>= 7;
        }
        bytes.push(size as u8);
        bytes.push(SCHEMA_SECTION.len() as u8);
        inspect(&[&bytes, SCHEMA_SECTION.as_bytes(), schema].concat())
    };
    assert!(with(&vec![b' '; 256 << 10]).unwrap().schema.is_some());
    assert!(with(&vec![b' '; (256 << 10) + 1]).is_err());
    assert!(with(b"\xff").is_err());
}

#[test]
fn what_is_no_wasm_or_breaks_off_is_refused() {
    assert!(matches!(inspect(b"").unwrap_err(), InspectError::NotWasm));
    assert!(matches!(inspect(b"<html>").unwrap_err(), InspectError::NotWasm));
    let whole = module(r#"(module (func (export "f")))"#);
    for end in 4..whole.len() {
        // A module may end after any section, and is then another one.
        if let Ok(found) = inspect(&whole[..end]) {
            assert_eq!(found.kind, ArtifactKind::Module);
        }
    }
    assert!(matches!(
        inspect(&whole[..9]).unwrap_err(),
        InspectError::Damaged(_)
    ));
}

#[test]
fn names_are_read_up_to_a_limit() {
    let exports: String = (0..20_001)
        .map(|n| format!("(export \"e{n}\" (func 0))"))
        .collect();
    let error = inspect(&module(&format!("(module (func) {exports})"))).unwrap_err();
    assert_eq!(error.to_string(), "it has more than 20000 exports");
}

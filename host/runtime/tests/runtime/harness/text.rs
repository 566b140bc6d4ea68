//! Components written as text, for what no guest of `tests/guests` can show.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

/// The contract's own text.
const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/weir-policy");

/// A component of the world `world` in `wit`, with the contract beside it, from a module in text or, without one,
/// from one that imports everything and does nothing.
pub(crate) fn component(wit: &str, world: &str, module: Option<&str>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_path(WIT).unwrap();
    let package = resolve.push_str("test.wit", wit).unwrap();
    let world: WorldId = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = match module {
        Some(text) => wat::parse_str(text).unwrap(),
        None => wit_component::dummy_module(
            &resolve,
            world,
            wit_parser::ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync),
        ),
    };
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

/// A policy in text, which runs in both heads and answers `next`. Its instances stay with an exchange.
#[derive(Default)]
pub(crate) struct TextPolicy<'a> {
    /// Interfaces of the contract.
    pub(crate) imports: &'a [&'a str],
    /// Imported functions and data.
    pub(crate) parts: &'a str,
    /// What `configure` does first.
    pub(crate) configure: &'a str,
    /// What `forget` does.
    pub(crate) forget: &'a str,
    /// What the request head does first.
    pub(crate) head: &'a str,
}

impl TextPolicy<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let import = |it: &&str| format!("import weir:policy/{it}@0.1.0; ");
        let imports: String = self.imports.iter().map(import).collect();
        let wit = format!("package test:text; world text {{ {imports} export weir:policy/filter@0.1.0; }}");
        let module = TEXT
            .replace("PARTS", self.parts)
            .replace("CONFIGURE", self.configure)
            .replace("FORGET", self.forget)
            .replace("HEAD", self.head);
        component(&wit, "text", Some(&module))
    }
}

/// Manifest: both heads, and one instance for one exchange. Bytes from 4096 on are for what the host hands over.
const TEXT: &str = r#"(module
  PARTS
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
  (func (export "weir:policy/filter@0.1.0#configure") (param i32 i32 i32) (result i32)
    CONFIGURE
    (i32.store8 (i32.const 20) (i32.const 9))
    (i32.store8 (i32.const 21) (i32.const 1))
    i32.const 16)
  (func (export "weir:policy/filter@0.1.0#forget") (param i32) FORGET)
  (func (export "weir:policy/filter@0.1.0#on-request-head") (param i32) (result i32)
    HEAD
    i32.const 64)
  (func (export "weir:policy/filter@0.1.0#on-response-head") (param i32) (result i32) i32.const 64)
  (func (export "weir:policy/filter@0.1.0#on-request-body") (param i32 i32 i32 i32) (result i32) i32.const 0)
  (func (export "weir:policy/filter@0.1.0#on-response-body") (param i32 i32 i32 i32) (result i32) i32.const 0)
  (func (export "weir:policy/filter@0.1.0#on-request-trailers") (param i32) (result i32) i32.const 0)
  (func (export "weir:policy/filter@0.1.0#on-response-trailers") (param i32) (result i32) i32.const 0)
  (func (export "weir:policy/filter@0.1.0#on-log") (param i32)))"#;

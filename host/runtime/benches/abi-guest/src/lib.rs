//! The guest of the bench `abi`: the same small policy once per shape of `shapes.wit`.

#![allow(
    missing_docs,
    unsafe_code,
    unused_qualifications,
    reason = "generated bindings"
)]

wit_bindgen::generate!({ world: "shapes", path: "shapes.wit" });

use crate::weir::abi::plain;

struct Policy;

impl Guest for Policy {
    fn nothing() -> Action {
        Action::Next
    }

    fn predicates() -> Action {
        if !plain::header_is("x-api-key", "secret") || !plain::path_starts_with("/api/") {
            return Action::Reply;
        }
        set_both();
        Action::Next
    }

    fn functions() -> Action {
        let known = plain::header("x-api-key").is_some_and(|key| key == b"secret");
        if !known || !plain::path().starts_with("/api/") {
            return Action::Reply;
        }
        set_both();
        Action::Next
    }

    fn block() -> Action {
        let block = plain::headers_block();
        if find(&block, b"x-api-key") != Some(b"secret") || !plain::path_starts_with("/api/") {
            return Action::Reply;
        }
        set_both();
        Action::Next
    }

    fn by_value(path: String, headers: Vec<Field>) -> Action {
        let known = headers
            .iter()
            .any(|field| field.name == "x-api-key" && field.value == b"secret");
        if !known || !path.starts_with("/api/") {
            return Action::Reply;
        }
        set_both();
        Action::Next
    }

    fn borrowed(message: &Message) -> Action {
        let known = message.header("x-api-key").is_some_and(|key| key == b"secret");
        if !known || !message.path().starts_with("/api/") {
            return Action::Reply;
        }
        message.set_header("x-first", b"1");
        message.set_header("x-second", b"2");
        Action::Next
    }

    fn decided() -> Decision {
        let reply = !plain::header_is("x-api-key", "secret") || !plain::path_starts_with("/api/");
        let field = |name: &str, value: &[u8]| Field {
            name: name.to_owned(),
            value: value.to_vec(),
        };
        let edits = if reply {
            Vec::new()
        } else {
            vec![field("x-first", b"1"), field("x-second", b"2")]
        };
        Decision {
            reply,
            status: 403,
            edits,
            removals: Vec::new(),
            limit: None,
        }
    }
}

fn set_both() {
    plain::set_header("x-first", b"1");
    plain::set_header("x-second", b"2");
}

/// The first value of a field in a block of u16 name length, u32 value length, name, value.
fn find<'a>(mut block: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    while let Some((head, rest)) = block.split_first_chunk::<6>() {
        let [n0, n1, v0, v1, v2, v3] = *head;
        let (name, rest) = rest.split_at_checked(u16::from_le_bytes([n0, n1]).into())?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes([v0, v1, v2, v3]) as usize)?;
        if name == wanted {
            return Some(value);
        }
        block = rest;
    }
    None
}

export!(Policy);

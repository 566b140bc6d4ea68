//! gRPC as a backend may send it: messages come out as they went in wherever the pieces are cut, and a status is
//! always one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_fuzz::Input;
use weir_runtime::fuzzing::{Messages, status};

const LARGEST: u64 = 4096;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let step = usize::from(input.byte()).max(1);
    if let Some((_code, message, trailers)) = status(&input.fields()) {
        assert!(message.len() <= 3 * bytes.len());
        assert!(trailers <= 8);
    }
    let body = input.rest();
    let (whole, end) = decode(body, body.len().max(1));
    let (cut, same_end) = decode(body, step);
    assert_eq!((&whole, end), (&cut, same_end), "cut after {step}");
    // What came out, framed again, is where it came from.
    let framed: Vec<u8> = whole
        .iter()
        .flat_map(|message| [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat())
        .collect();
    assert!(body.starts_with(&framed));
    assert!(whole.iter().all(|message| message.len() as u64 <= LARGEST));
});

/// The messages, and how it ended: at the end of one, within one, or with an error.
fn decode(body: &[u8], step: usize) -> (Vec<Vec<u8>>, &'static str) {
    let (mut messages, mut found) = (Messages::new(LARGEST), Vec::new());
    for piece in body.chunks(step) {
        messages.push(piece);
        loop {
            match messages.message() {
                Ok(Some(message)) => found.push(message),
                Ok(None) => break,
                Err(error) => return (found, error),
            }
        }
    }
    (found, if messages.is_empty() { "whole" } else { "within" })
}

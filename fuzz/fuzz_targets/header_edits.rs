//! Edits of heads and trailers with any name and value, without a guest around them: the message stays one that can
//! be sent, and an edit that is taken can be read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_fuzz::{Input, check_exchange, exchange};
use weir_runtime::fuzzing::{Edits, Operation, Part};

const MEMORY: usize = 64 << 10;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let mut edits = Edits::new(exchange(&mut input), MEMORY);
    for _ in 0..32 {
        let code = input.byte();
        let part = match code >> 6 {
            0 => Part::Request,
            1 => Part::Response,
            2 => Part::RequestTrailers,
            _ => Part::ResponseTrailers,
        };
        let operation = match code % 3 {
            0 => Operation::Set,
            1 => Operation::Append,
            _ => Operation::Remove,
        };
        let name = String::from_utf8_lossy(input.piece()).into_owned();
        let value = input.piece();
        if edits.edit(part, operation, &name, value).is_err() {
            // Only the limit ends a call.
            break;
        }
    }
    check_exchange(edits.exchange(), MEMORY, 2);
});

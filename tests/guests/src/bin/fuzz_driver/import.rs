//! Every function of the host, called as the machine sees it: with pointers, lengths and numbers of a program's choosing.
//! The SDK's functions could not pass text that is no UTF-8 or bytes that are not there.

#![allow(unsafe_code, reason = "imports with arguments that no safe type has")]

use crate::program::Program;

/// Calls one function of the host with the arguments that follow in the program.
pub(crate) fn call(program: &mut Program<'_>) {
    let at = usize::from(program.byte()) % CALLS.len();
    if let Some(call) = CALLS.get(at) {
        call(program);
    }
}

/// The type of an argument by its letter: pointer to bytes, pointer to fields or labels, length of either, number,
/// long number, fraction, place for the answer.
macro_rules! argument_type {
    (p) => {
        i32
    };
    (f) => {
        i32
    };
    (n) => {
        i32
    };
    (i) => {
        i32
    };
    (j) => {
        i64
    };
    (d) => {
        f64
    };
    (r) => {
        i32
    };
}

macro_rules! argument {
    ($program:ident p) => {
        $program.bytes()
    };
    ($program:ident f) => {
        $program.pairs()
    };
    ($program:ident n) => {
        $program.length()
    };
    ($program:ident i) => {
        $program.number()
    };
    ($program:ident j) => {
        $program.long()
    };
    ($program:ident d) => {
        $program.fraction()
    };
    ($program:ident r) => {
        $program.answer()
    };
}

/// What a function answers directly is of no use here: what it does to the host is.
macro_rules! calls {
    ($($interface:literal { $($name:literal ($($kind:ident)*) $(-> $answer:ty)?;)* })*) => {
        &[$($(
            |_program: &mut Program<'_>| {
                #[link(wasm_import_module = $interface)]
                unsafe extern "C" {
                    #[link_name = $name]
                    fn import($(_: argument_type!($kind)),*) $(-> $answer)?;
                }
                // SAFETY: the host checks what it is given; it writes to the place for answers and to memory that it
                // asked for, or ends the call.
                let _answer = unsafe { import($(argument!(_program $kind)),*) };
            },
        )*)*]
    };
}

type Call = fn(&mut Program<'_>);

#[rustfmt::skip]
const CALLS: &[Call] = calls! {
    "weir:policy/request@0.1.0" {
        "method" (r);
        "set-method" (p n);
        "scheme" (r);
        "authority" (r);
        "set-authority" (p n);
        "path" (r);
        "set-path" (p n);
        "path-starts-with" (p n) -> i32;
        "header" (p n r);
        "header-values" (p n r);
        "has-header" (p n) -> i32;
        "header-is" (p n p n) -> i32;
        "headers-block" (r);
        "set-header" (p n p n);
        "append-header" (p n p n);
        "remove-header" (p n);
        "set-headers" (f n);
    }
    "weir:policy/response@0.1.0" {
        "status" () -> i32;
        "set-status" (i);
        "header" (p n r);
        "header-values" (p n r);
        "has-header" (p n) -> i32;
        "header-is" (p n p n) -> i32;
        "headers-block" (r);
        "set-header" (p n p n);
        "append-header" (p n p n);
        "remove-header" (p n);
        "set-headers" (f n);
    }
    "weir:policy/request-trailers@0.1.0" {
        "header" (p n r);
        "header-values" (p n r);
        "has-header" (p n) -> i32;
        "header-is" (p n p n) -> i32;
        "headers-block" (r);
        "set-header" (p n p n);
        "append-header" (p n p n);
        "remove-header" (p n);
        "set-headers" (f n);
    }
    "weir:policy/response-trailers@0.1.0" {
        "header" (p n r);
        "header-values" (p n r);
        "has-header" (p n) -> i32;
        "header-is" (p n p n) -> i32;
        "headers-block" (r);
        "set-header" (p n p n);
        "append-header" (p n p n);
        "remove-header" (p n);
        "set-headers" (f n);
    }
    "weir:policy/exchange@0.1.0" {
        "attribute" (i r);
        "reply" (i f n p n);
        "replace-body" (p n);
        "note-get" (p n r);
        "note-set" (p n p n);
        "shared-get" (p n p n r);
        "shared-set" (p n p n p n);
    }
    "weir:policy/log@0.1.0" {
        "write" (i p n);
        "enabled" (i) -> i32;
    }
    "weir:policy/clock@0.1.0" {
        "now" () -> i64;
        "monotonic" () -> i64;
    }
    "weir:policy/random@0.1.0" {
        "next" () -> i64;
        "bytes" (i r);
    }
    "weir:policy/environment@0.1.0" {
        "get" (p n r);
    }
    "weir:policy/sink@0.1.0" {
        "write" (i p n r);
    }
    "weir:policy/upstream@0.1.0" {
        "fetch" (p n p n p n p n f n p n i i r);
    }
    "weir:policy/grpc@0.1.0" {
        "unary" (p n p n p n f n i i p n r);
        "open" (p n p n p n f n i i r);
        "send" (i p n r);
        "finish" (i);
        "receive" (i r);
        "cancel" (i);
    }
    "weir:policy/kv@0.1.0" {
        "get" (p n r);
        "set" (p n p n j r);
        "compare-and-set" (p n j p n j r);
        "increment" (p n j j r);
        "delete" (p n);
        "keys" (p n i r);
    }
    "weir:policy/metrics@0.1.0" {
        "add" (p n f n j);
        "set" (p n f n d);
        "observe" (p n f n d);
    }
};

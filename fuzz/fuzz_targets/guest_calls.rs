//! The boundary of guests: every function of the host with any arguments, in any phase, any answer of a backend, in a
//! real runtime. The exchange stays one that can be sent, and no instance is lost.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use weir_fuzz::{Guest, drive};

static GUEST: LazyLock<Guest> = LazyLock::new(Guest::load);

fuzz_target!(init: { LazyLock::force(&GUEST); }, |bytes: &[u8]| drive(&GUEST, bytes));

//! Panics in the phase that its configuration names.

use weir_test_guests::{Fault, Faulty};

struct Trap;

impl Fault for Trap {
    fn strike() {
        #[allow(clippy::panic, reason = "the fault this guest is for")]
        {
            panic!("on purpose");
        }
    }
}

weir_sdk::policy!(Faulty<Trap>);

//! Panics in the phase that its configuration names.

use weir_test_guests::{Fault, Faulty, Options};

struct Trap;

impl Fault for Trap {
    fn configure(_: &Options) -> Result<Self, String> {
        Ok(Self)
    }

    fn strike(&self) {
        #[allow(clippy::panic, reason = "the fault this guest is for")]
        {
            panic!("on purpose");
        }
    }
}

weir_sdk::policy!(Faulty<Trap>);

//! Refuses every configuration.

use weir_sdk::{Phases, Policy};

struct Refuses;

impl Policy for Refuses {
    fn configure(config: &[u8]) -> Result<Self, String> {
        Err(format!("refused: {}", weir_test_guests::words(config).join(" ")))
    }

    fn phases(&self) -> Phases {
        Phases::empty()
    }
}

weir_sdk::policy!(Refuses);

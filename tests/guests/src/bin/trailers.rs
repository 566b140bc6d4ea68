//! Names a phase that is specified but not offered yet.

use weir_sdk::{Phases, Policy};

struct Trailers;

impl Policy for Trailers {
    fn configure(_: &[u8]) -> Result<Self, String> {
        Ok(Self)
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_TRAILERS
    }
}

weir_sdk::policy!(Trailers);

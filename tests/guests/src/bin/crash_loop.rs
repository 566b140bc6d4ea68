//! Panics for every request that has the header `x-crash`, and marks all others with `x-survived`. With the word
//! `configure` it panics while it is configured.

use weir_sdk::{Exchange, HeadAction, Phases, Policy};
use weir_test_guests::Options;

struct CrashLoop;

impl Policy for CrashLoop {
    fn configure(config: &[u8]) -> Result<Self, String> {
        if Options::read(config, &["configure"])?.has("configure") {
            crash();
        }
        Ok(Self)
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        if exchange.request.has_header("x-crash") {
            crash();
        }
        exchange.request.set_header("x-survived", "yes");
        HeadAction::Next
    }
}

#[allow(clippy::panic, reason = "the fault this guest is for")]
fn crash() {
    panic!("crashed on purpose");
}

weir_sdk::policy!(CrashLoop);

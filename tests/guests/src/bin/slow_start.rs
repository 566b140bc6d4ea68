//! Takes `configure=N` loops, a nanosecond or two each, to be configured, and `first=N` loops for the first call of
//! an instance; `for-ever` never finishes its configuration. The response says with `x-slow-start` that it ran.

use std::cell::Cell;

use weir_sdk::{Exchange, HeadAction, Phases, Policy};
use weir_test_guests::Options;

struct SlowStart {
    first: Cell<u64>,
}

impl Policy for SlowStart {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let options = Options::read(config, &["configure=", "first=", "for-ever"])?;
        while options.has("for-ever") {
            std::hint::black_box(());
        }
        spin(options.number("configure", 0)?);
        Ok(Self {
            first: Cell::new(options.number("first", 0)?),
        })
    }

    fn phases(&self) -> Phases {
        Phases::RESPONSE_HEAD
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        spin(self.first.take());
        exchange.response.set_header("x-slow-start", "ran");
        HeadAction::Next
    }
}

fn spin(loops: u64) {
    (0..loops).for_each(|_| std::hint::black_box(()));
}

weir_sdk::policy!(SlowStart);

//! Calls the host functions that need a grant and puts what they say into request headers.
//!
//! It imports log, clock, random, environment and sink, so it runs only where all of them are granted. The
//! first word of the configuration is the variable it asks for.

use weir_sdk::log::Level;
use weir_sdk::{Exchange, HeadAction, Phases, Policy, clock, environment, log, random, sink};

struct Probe {
    variable: String,
}

impl Policy for Probe {
    fn configure(config: &[u8]) -> Result<Self, String> {
        Ok(Self {
            variable: weir_test_guests::words(config)
                .into_iter()
                .next()
                .unwrap_or_default(),
        })
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        let (before, after) = (clock::monotonic(), clock::monotonic());
        log::write(Level::Info, "probing");
        let answers = [
            (
                "variable",
                environment::get(&self.variable).unwrap_or_else(|| "(none)".to_owned()),
            ),
            ("clock", clock::now().as_secs().to_string()),
            ("monotonic", (after >= before).to_string()),
            ("random", random::next().to_string()),
            ("random-bytes", random::bytes(16).len().to_string()),
            ("log", log::enabled(Level::Error).to_string()),
            ("sink", format!("{:?}", sink::write(0, b"probed\n"))),
            ("sink-ungranted", format!("{:?}", sink::write(9, b"probed\n"))),
        ];
        for (name, answer) in answers {
            exchange.request.set_header(&format!("x-probe-{name}"), answer);
        }
        HeadAction::Next
    }
}

weir_sdk::policy!(Probe);

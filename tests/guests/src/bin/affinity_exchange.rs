//! Keeps state of an exchange in the instance, which works only while the instance stays with the exchange.

use std::cell::RefCell;

use weir_sdk::{Affinity, Exchange, HeadAction, Phases, Policy};

struct AffinityExchange {
    path: RefCell<String>,
}

impl Policy for AffinityExchange {
    fn configure(_: &[u8]) -> Result<Self, String> {
        Ok(Self {
            path: RefCell::default(),
        })
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD | Phases::RESPONSE_HEAD
    }

    fn affinity(&self) -> Affinity {
        Affinity::Exchange
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        self.path.replace(exchange.request.path());
        HeadAction::Next
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        exchange.response.set_header("x-path", self.path.take());
        HeadAction::Next
    }
}

weir_sdk::policy!(AffinityExchange);

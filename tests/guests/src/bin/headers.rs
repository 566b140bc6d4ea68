//! The bench policy: sets one request and one response header, and does nothing else.
//!
//! The configuration is one word that becomes part of the names, so that several in a chain all count.

use weir_sdk::{Exchange, HeadAction, Phases, Policy};

struct Headers {
    request: String,
    response: String,
}

impl Policy for Headers {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let words = weir_test_guests::words(config);
        let word = words.first().map_or("policy", String::as_str);
        Ok(Self {
            request: format!("x-request-{word}"),
            response: format!("x-response-{word}"),
        })
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD | Phases::RESPONSE_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        exchange.request.set_header(&self.request, "on");
        HeadAction::Next
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        exchange.response.set_header(&self.response, "on");
        HeadAction::Next
    }
}

weir_sdk::policy!(Headers);

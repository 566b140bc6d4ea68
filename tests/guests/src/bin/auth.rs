//! Lets requests pass whose header `x-token` is the configured word, and answers 403 to all others.

use weir_sdk::{Exchange, HeadAction, Phases, Policy, Reply};

struct Auth {
    token: String,
}

impl Policy for Auth {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let words = weir_test_guests::words(config);
        let token = words
            .into_iter()
            .next()
            .ok_or("a token is missing: configure one word")?;
        Ok(Self { token })
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        if exchange.request.header_is("x-token", &self.token) {
            exchange.request.set_header("x-authenticated", "yes");
            return HeadAction::Next;
        }
        exchange
            .reply(Reply::new(403).text("the token is missing or wrong\n"))
            .into()
    }
}

weir_sdk::policy!(Auth);

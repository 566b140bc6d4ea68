//! Replies from the phase that its configuration names. With the word `silent` it says so without staging one.

use weir_sdk::{BodyAction, Chunk, Exchange, HeadAction, Phases, Policy, Reply};
use weir_test_guests::{phase, with_heads, words};

struct Replier {
    name: String,
    at: Phases,
    silent: bool,
}

impl Replier {
    fn head(&self, exchange: &mut Exchange, head: Phases, body: Phases) -> HeadAction {
        if self.at == body {
            return HeadAction::Chunks;
        }
        if self.at == head {
            self.stage(exchange);
            return HeadAction::Reply;
        }
        HeadAction::Next
    }

    fn body(&self, exchange: &mut Exchange) -> BodyAction {
        self.stage(exchange);
        BodyAction::Reply
    }

    fn stage(&self, exchange: &mut Exchange) {
        if !self.silent {
            let reply = Reply::new(418)
                .header("x-replier", &self.name)
                .text(format!("from {}\n", self.name));
            let _ = exchange.reply(reply);
        }
    }
}

impl Policy for Replier {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let words = words(config);
        let name = words.first().cloned().unwrap_or_default();
        Ok(Self {
            at: phase(&name)?,
            name,
            silent: words.iter().any(|word| word == "silent"),
        })
    }

    fn phases(&self) -> Phases {
        with_heads(self.at)
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        self.head(exchange, Phases::REQUEST_HEAD, Phases::REQUEST_BODY)
    }

    fn on_request_body(&self, exchange: &mut Exchange, _: Chunk) -> BodyAction {
        self.body(exchange)
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        self.head(exchange, Phases::RESPONSE_HEAD, Phases::RESPONSE_BODY)
    }

    fn on_response_body(&self, exchange: &mut Exchange, _: Chunk) -> BodyAction {
        self.body(exchange)
    }
}

weir_sdk::policy!(Replier);

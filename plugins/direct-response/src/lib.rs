//! Built-in plugin direct-response: answers every request itself.

mod config;
mod policy;

use weir_sdk::{Exchange, HeadAction, Phases, Policy, Reply};

struct DirectResponse {
    reply: Reply,
}

impl Policy for DirectResponse {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let config = config::Config::parse(config)?;
        Ok(Self {
            reply: policy::reply(&config),
        })
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        exchange.reply(&self.reply).into()
    }
}

weir_sdk::policy!(DirectResponse);

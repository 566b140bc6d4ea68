//! Says in both heads which configuration its slot has, so that slots cannot be mixed up unseen.

use weir_sdk::{Exchange, HeadAction, Phases, Policy};

struct ConfigEcho {
    config: Vec<u8>,
}

impl Policy for ConfigEcho {
    fn configure(config: &[u8]) -> Result<Self, String> {
        Ok(Self {
            config: config.to_vec(),
        })
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD | Phases::RESPONSE_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        exchange.request.append_header("x-config", &self.config);
        HeadAction::Next
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        exchange.response.append_header("x-config", &self.config);
        HeadAction::Next
    }
}

weir_sdk::policy!(ConfigEcho);

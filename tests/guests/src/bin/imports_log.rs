//! Writes a line per request: needs the capability `log`.

use weir_sdk::{Exchange, HeadAction, Phases, Policy, log};

struct ImportsLog;

impl Policy for ImportsLog {
    fn configure(_: &[u8]) -> Result<Self, String> {
        Ok(Self)
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        log::info(&exchange.request.path());
        HeadAction::Next
    }
}

weir_sdk::policy!(ImportsLog);

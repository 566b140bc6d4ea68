//! Reads one entry and does nothing else that needs a grant: refused where `kv` is not granted.

use weir_sdk::{Exchange, HeadAction, Phases, Policy, kv};

struct ImportsKv;

impl Policy for ImportsKv {
    fn configure(_: &[u8]) -> Result<Self, String> {
        Ok(Self)
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        if let Some(entry) = kv::get("key") {
            exchange.request.set_header("x-kv", entry.value);
        }
        HeadAction::Next
    }
}

weir_sdk::policy!(ImportsKv);

//! Turns bodies into upper case.
//!
//! Words of the configuration: `whole` or `chunks`; `request`, `response` or both; for `whole`, `limit=BYTES`
//! and `reject`, `skip` or `stream-instead`.

use weir_sdk::{BodyAction, Chunk, Exchange, HeadAction, Oversize, Phases, Policy, Whole};

struct BodyUpper {
    plan: HeadAction,
    phases: Phases,
}

impl Policy for BodyUpper {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let (mut phases, mut chunks) = (Phases::empty(), false);
        let mut whole = Whole {
            limit: 0,
            oversize: Oversize::Reject,
        };
        for word in weir_test_guests::words(config) {
            match word.as_str() {
                "whole" => chunks = false,
                "chunks" => chunks = true,
                "request" => phases |= Phases::REQUEST_HEAD | Phases::REQUEST_BODY,
                "response" => phases |= Phases::RESPONSE_HEAD | Phases::RESPONSE_BODY,
                "reject" => whole.oversize = Oversize::Reject,
                "skip" => whole.oversize = Oversize::Skip,
                "stream-instead" => whole.oversize = Oversize::StreamInstead,
                _ => {
                    let limit = word.strip_prefix("limit=").and_then(|bytes| bytes.parse().ok());
                    whole.limit = limit.ok_or_else(|| format!("unknown word {word:?}"))?;
                }
            }
        }
        Ok(Self {
            plan: if chunks { HeadAction::Chunks } else { whole.into() },
            phases,
        })
    }

    fn phases(&self) -> Phases {
        self.phases
    }

    fn on_request_head(&self, _: &mut Exchange) -> HeadAction {
        self.plan
    }

    fn on_request_body(&self, exchange: &mut Exchange, chunk: Chunk) -> BodyAction {
        upper(exchange, chunk)
    }

    fn on_response_head(&self, _: &mut Exchange) -> HeadAction {
        self.plan
    }

    fn on_response_body(&self, exchange: &mut Exchange, chunk: Chunk) -> BodyAction {
        upper(exchange, chunk)
    }
}

fn upper(exchange: &mut Exchange, chunk: Chunk) -> BodyAction {
    exchange.replace_body(chunk.bytes.to_ascii_uppercase());
    BodyAction::Next
}

weir_sdk::policy!(BodyUpper);

//! Carries the request's path to the response by a note; a second filter of it must not see the first one's.

use weir_sdk::{Exchange, HeadAction, Phases, Policy};

struct Notes {
    word: String,
}

impl Policy for Notes {
    fn configure(config: &[u8]) -> Result<Self, String> {
        Ok(Self {
            word: weir_test_guests::words(config).join(" "),
        })
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD | Phases::RESPONSE_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        let earlier = exchange.note("path").is_some();
        exchange.set_note(
            "path",
            format!("{} {} {earlier}", self.word, exchange.request.path()),
        );
        HeadAction::Next
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        let note = exchange.note("path").unwrap_or_else(|| b"(none)".to_vec());
        exchange.response.append_header("x-note", note);
        HeadAction::Next
    }
}

weir_sdk::policy!(Notes);

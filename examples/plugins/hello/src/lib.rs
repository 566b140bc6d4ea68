//! Greets: names itself to the backend, and greets the client in a response header.

use serde::Deserialize;
use weir_sdk::{Exchange, HeadAction, Phases, Policy};

/// The policy, as its configuration: `{"greeting": "…"}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    greeting: String,
}

impl Policy for Hello {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let hello: Self = weir_sdk::from_json(config)?;
        if hello.greeting.chars().any(char::is_control) {
            return Err("greeting: write one line without control characters".to_owned());
        }
        Ok(hello)
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD | Phases::RESPONSE_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        exchange.request.set_header("x-greeted-by", "hello");
        HeadAction::Next
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        exchange.response.set_header("x-hello", &self.greeting);
        HeadAction::Next
    }
}

weir_sdk::policy!(Hello);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_is_required_and_fits_a_header() {
        let check = |config: &str, accepted: bool| {
            assert_eq!(Hello::configure(config.as_bytes()).is_ok(), accepted, "{config}");
        };
        check(r#"{"greeting": "good morning"}"#, true);
        check(r#"{"greeting": "two\nlines"}"#, false);
        check(r#"{"greting": "misspelt"}"#, false);
        check("{}", false);
    }
}

//! Reads and edits trailers.
//!
//! Words of the configuration, each for `request` and for `response`: `request-set=NAME:VALUE`,
//! `request-append=NAME:VALUE`, `request-remove=NAME`; `request-seen` sets the trailer `x-seen` to what was there,
//! `request-reply` replies with it. With `show`, the response head has it as `x-request-trailers`.

use weir_sdk::{BodyAction, Exchange, HeadAction, Phases, Policy, Reply};
use weir_test_guests::{Options, listing};

struct Trailers {
    options: Options,
}

const WORDS: &[&str] = &[
    "request-set=",
    "request-append=",
    "request-remove=",
    "request-seen",
    "request-reply",
    "response-set=",
    "response-append=",
    "response-remove=",
    "response-seen",
    "response-reply",
    "show",
];

macro_rules! edit {
    ($options:expr, $exchange:ident . $trailers:ident, $prefix:literal) => {{
        let seen = listing(&$exchange.$trailers.headers());
        for (name, value) in pairs($options, concat!($prefix, "-set")) {
            $exchange.$trailers.set_header(name, value);
        }
        for (name, value) in pairs($options, concat!($prefix, "-append")) {
            $exchange.$trailers.append_header(name, value);
        }
        for name in $options.all(concat!($prefix, "-remove")) {
            $exchange.$trailers.remove_header(name);
        }
        if $options.has(concat!($prefix, "-seen")) {
            $exchange.$trailers.set_header("x-seen", &seen);
        }
        if $options.has(concat!($prefix, "-reply")) {
            return $exchange.reply(Reply::new(422).text(seen)).into();
        }
        BodyAction::Next
    }};
}

impl Policy for Trailers {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let options = Options::read(config, WORDS)?;
        Ok(Self { options })
    }

    fn phases(&self) -> Phases {
        let mut phases = Phases::REQUEST_TRAILERS | Phases::RESPONSE_TRAILERS;
        phases.set(Phases::RESPONSE_HEAD, self.options.has("show"));
        phases
    }

    fn on_request_trailers(&self, exchange: &mut Exchange) -> BodyAction {
        edit!(&self.options, exchange.request_trailers, "request")
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        let seen = listing(&exchange.request_trailers.headers());
        exchange.response.set_header("x-request-trailers", seen);
        HeadAction::Next
    }

    fn on_response_trailers(&self, exchange: &mut Exchange) -> BodyAction {
        edit!(&self.options, exchange.response_trailers, "response")
    }
}

fn pairs<'a>(options: &'a Options, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    options.all(name).filter_map(|pair| pair.split_once(':'))
}

weir_sdk::policy!(Trailers);

//! Replies from the phase that `at=` names: with `status=` (418), `body=`, and fields `header=NAME:VALUE`. With
//! `when=NAME` only for requests that have a header of that name.

use weir_sdk::{Exchange, Phases, Reply};
use weir_test_guests::{At, Options, Probe, Step};

struct ReplyAnywhere {
    reply: Reply,
    when: Option<String>,
}

impl Probe for ReplyAnywhere {
    const WORDS: &'static [&'static str] = &["at=", "whole", "status=", "body=", "header=", "when="];

    fn configure(options: Options) -> Result<Self, String> {
        let phase = options.get("at").unwrap_or("request-head");
        let mut reply = Reply::new(options.number("status", 418)?)
            .header("x-replied-from", phase)
            .text(options.get("body").unwrap_or(phase));
        for field in options.all("header") {
            let (name, value) = field.split_once(':').ok_or("header=: expected NAME:VALUE")?;
            reply = reply.header(name, value);
        }
        Ok(Self {
            reply,
            when: options.get("when").map(str::to_owned),
        })
    }

    fn run(&self, exchange: &mut Exchange, _: Phases) -> Step {
        match &self.when {
            Some(name) if !exchange.request.has_header(name) => Step::Next,
            _ => Step::Reply(exchange.reply(&self.reply)),
        }
    }
}

weir_sdk::policy!(At<ReplyAnywhere>);

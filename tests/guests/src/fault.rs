//! Guests that do something bad in one phase.

use weir_sdk::{BodyAction, Chunk, Exchange, HeadAction, Phases, Policy};

use crate::{Options, phase, with_heads};

/// Something bad that a guest does.
pub trait Fault: Sized + 'static {
    /// The words that the fault knows beside the phase and `when=`.
    const WORDS: &'static [&'static str] = &["when="];

    /// Prepares the fault.
    ///
    /// # Errors
    /// When a word makes no sense.
    fn configure(options: &Options) -> Result<Self, String>;

    /// Does it.
    fn strike(&self);
}

/// Commits a fault in the phase that the first word of the configuration names. With `when=NAME` only for
/// requests that have a header of that name.
#[derive(Debug)]
pub struct Faulty<F> {
    at: Phases,
    when: Option<String>,
    fault: F,
}

impl<F: Fault> Faulty<F> {
    fn reach(&self, exchange: &Exchange, phase: Phases) {
        let wanted = |name: &String| exchange.request.has_header(name);
        if self.at == phase && self.when.as_ref().is_none_or(wanted) {
            self.fault.strike();
        }
    }

    fn head(&self, exchange: &Exchange, head: Phases, body: Phases) -> HeadAction {
        self.reach(exchange, head);
        if self.at == body {
            HeadAction::Chunks
        } else {
            HeadAction::Next
        }
    }

    fn pass(&self, exchange: &Exchange, phase: Phases) -> BodyAction {
        self.reach(exchange, phase);
        BodyAction::Next
    }
}

impl<F: Fault> Policy for Faulty<F> {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(config);
        let text = text.trim_matches('"').trim();
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        let options = Options::read(rest.as_bytes(), F::WORDS)?;
        Ok(Self {
            at: phase(name)?,
            when: options.get("when").map(str::to_owned),
            fault: F::configure(&options)?,
        })
    }

    fn phases(&self) -> Phases {
        with_heads(self.at)
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        self.head(exchange, Phases::REQUEST_HEAD, Phases::REQUEST_BODY)
    }

    fn on_request_body(&self, exchange: &mut Exchange, _: Chunk) -> BodyAction {
        self.pass(exchange, Phases::REQUEST_BODY)
    }

    fn on_request_trailers(&self, exchange: &mut Exchange) -> BodyAction {
        self.pass(exchange, Phases::REQUEST_TRAILERS)
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        self.head(exchange, Phases::RESPONSE_HEAD, Phases::RESPONSE_BODY)
    }

    fn on_response_body(&self, exchange: &mut Exchange, _: Chunk) -> BodyAction {
        self.pass(exchange, Phases::RESPONSE_BODY)
    }

    fn on_response_trailers(&self, exchange: &mut Exchange) -> BodyAction {
        self.pass(exchange, Phases::RESPONSE_TRAILERS)
    }

    fn on_log(&self, exchange: &Exchange) {
        self.reach(exchange, Phases::LOG);
    }
}

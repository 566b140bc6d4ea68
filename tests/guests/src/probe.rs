//! Guests that ask the host something in one phase and show the answer.

use weir_sdk::{BodyAction, Chunk, Exchange, HeadAction, Oversize, Phases, Policy, Replied, Whole};

use crate::{Options, with_heads};

/// Something to do in one phase of an exchange.
pub trait Probe: Sized + 'static {
    /// The words it knows, `at=` and `whole` included.
    const WORDS: &'static [&'static str];

    /// Prepares it.
    ///
    /// # Errors
    /// When a word makes no sense.
    fn configure(options: Options) -> Result<Self, String>;

    /// Does it.
    fn run(&self, exchange: &mut Exchange, phase: Phases) -> Step;
}

/// How the exchange goes on.
#[derive(Debug)]
pub enum Step {
    /// As if the probe were not there.
    Next,
    /// With the reply that the probe staged.
    Reply(Replied),
}

/// Runs a probe in the phase that `at=` names, the request head by default. In a body phase it runs once, with
/// the last chunk; with the word `whole` the body is waited for, so that the head can still be edited.
#[derive(Debug)]
pub struct At<P> {
    at: Phases,
    whole: bool,
    probe: P,
}

impl<P: Probe> At<P> {
    fn head(&self, exchange: &mut Exchange, head: Phases, body: Phases) -> HeadAction {
        if self.at == body && self.whole {
            return HeadAction::Whole(Whole {
                limit: 0,
                oversize: Oversize::Reject,
            });
        }
        if self.at == body {
            return HeadAction::Chunks;
        }
        match self.reach(exchange, head) {
            Step::Next => HeadAction::Next,
            Step::Reply(replied) => replied.into(),
        }
    }

    fn body(&self, exchange: &mut Exchange, phase: Phases) -> BodyAction {
        match self.reach(exchange, phase) {
            Step::Next => BodyAction::Next,
            Step::Reply(replied) => replied.into(),
        }
    }

    fn reach(&self, exchange: &mut Exchange, phase: Phases) -> Step {
        if self.at == phase {
            self.probe.run(exchange, phase)
        } else {
            Step::Next
        }
    }
}

impl<P: Probe> Policy for At<P> {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let options = Options::read(config, P::WORDS)?;
        Ok(Self {
            at: options.phase()?,
            whole: options.has("whole"),
            probe: P::configure(options)?,
        })
    }

    fn phases(&self) -> Phases {
        with_heads(self.at)
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        self.head(exchange, Phases::REQUEST_HEAD, Phases::REQUEST_BODY)
    }

    fn on_request_body(&self, exchange: &mut Exchange, chunk: Chunk) -> BodyAction {
        if chunk.end {
            self.body(exchange, Phases::REQUEST_BODY)
        } else {
            BodyAction::Next
        }
    }

    fn on_request_trailers(&self, exchange: &mut Exchange) -> BodyAction {
        self.body(exchange, Phases::REQUEST_TRAILERS)
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        self.head(exchange, Phases::RESPONSE_HEAD, Phases::RESPONSE_BODY)
    }

    fn on_response_body(&self, exchange: &mut Exchange, chunk: Chunk) -> BodyAction {
        if chunk.end {
            self.body(exchange, Phases::RESPONSE_BODY)
        } else {
            BodyAction::Next
        }
    }

    fn on_response_trailers(&self, exchange: &mut Exchange) -> BodyAction {
        self.body(exchange, Phases::RESPONSE_TRAILERS)
    }

    fn on_log(&self, _: &Exchange) {
        let _ = self.reach(&mut Exchange::current(), Phases::LOG);
    }
}

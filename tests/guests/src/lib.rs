//! Misbehaving and probing guests: what they share. Each guest is one file in `src/bin`.
//!
//! A configuration is a few words, with or without JSON quotes around them.

use std::marker::PhantomData;

use weir_sdk::{BodyAction, Chunk, Exchange, HeadAction, Phases, Policy};

/// The words of a configuration.
pub fn words(config: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(config)
        .trim_matches('"')
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// The phase of that name.
///
/// # Errors
/// When there is none.
pub fn phase(name: &str) -> Result<Phases, String> {
    Ok(match name {
        "request-head" => Phases::REQUEST_HEAD,
        "request-body" => Phases::REQUEST_BODY,
        "response-head" => Phases::RESPONSE_HEAD,
        "response-body" => Phases::RESPONSE_BODY,
        "log" => Phases::LOG,
        _ => return Err(format!("{name:?} is no phase")),
    })
}

/// The phases in which a guest must run to do something in `phase`: a body phase is planned by its head.
pub fn with_heads(phase: Phases) -> Phases {
    let mut all = phase;
    all.set(
        Phases::REQUEST_HEAD,
        phase.intersects(Phases::REQUEST_HEAD | Phases::REQUEST_BODY),
    );
    all.set(
        Phases::RESPONSE_HEAD,
        phase.intersects(Phases::RESPONSE_HEAD | Phases::RESPONSE_BODY),
    );
    all
}

/// Something bad that a guest does.
pub trait Fault: 'static {
    /// Does it.
    fn strike();
}

/// Commits a fault in the phase that the configuration names, and nothing otherwise.
#[derive(Debug)]
pub struct Faulty<F> {
    at: Phases,
    fault: PhantomData<F>,
}

impl<F: Fault> Faulty<F> {
    fn reach(&self, phase: Phases) {
        if self.at == phase {
            F::strike();
        }
    }

    fn head(&self, head: Phases, body: Phases) -> HeadAction {
        self.reach(head);
        if self.at == body {
            HeadAction::Chunks
        } else {
            HeadAction::Next
        }
    }
}

impl<F: Fault> Policy for Faulty<F> {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let at = phase(words(config).first().map_or("", String::as_str))?;
        Ok(Self {
            at,
            fault: PhantomData,
        })
    }

    fn phases(&self) -> Phases {
        with_heads(self.at)
    }

    fn on_request_head(&self, _: &mut Exchange) -> HeadAction {
        self.head(Phases::REQUEST_HEAD, Phases::REQUEST_BODY)
    }

    fn on_request_body(&self, _: &mut Exchange, _: Chunk) -> BodyAction {
        self.reach(Phases::REQUEST_BODY);
        BodyAction::Next
    }

    fn on_response_head(&self, _: &mut Exchange) -> HeadAction {
        self.head(Phases::RESPONSE_HEAD, Phases::RESPONSE_BODY)
    }

    fn on_response_body(&self, _: &mut Exchange, _: Chunk) -> BodyAction {
        self.reach(Phases::RESPONSE_BODY);
        BodyAction::Next
    }

    fn on_log(&self, _: &Exchange) {
        self.reach(Phases::LOG);
    }
}

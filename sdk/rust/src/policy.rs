//! What a policy author implements.

use crate::{Affinity, BodyAction, Exchange, HeadAction, Phases};

/// One configured use of a policy.
///
/// A value is made by `configure` for each configuration and asked in the phases it names. The host calls
/// one phase at a time; a value is shared by many exchanges, so state of one exchange belongs into notes
/// ([`Exchange::set_note`]), never into the value.
///
/// A panic is a trap: it costs the current exchange its answer by the filter's failure mode, and nothing else.
pub trait Policy: Sized + 'static {
    /// Parses and checks one configuration.
    ///
    /// # Errors
    /// With a text for people that names the field at fault; the configuration is then refused.
    fn configure(config: &[u8]) -> Result<Self, String>;

    /// The phases this configuration needs. One that is not named is never called.
    fn phases(&self) -> Phases;

    /// How long an instance is bound to an exchange. Almost every policy is right with a call.
    fn affinity(&self) -> Affinity {
        Affinity::Call
    }

    /// The request head was read.
    fn on_request_head(&self, _exchange: &mut Exchange) -> HeadAction {
        HeadAction::Next
    }

    /// A chunk of the request body, or all of it, as the head phase asked.
    fn on_request_body(&self, _exchange: &mut Exchange, _chunk: Chunk) -> BodyAction {
        BodyAction::Next
    }

    /// The request's trailers were read.
    fn on_request_trailers(&self, _exchange: &mut Exchange) -> BodyAction {
        BodyAction::Next
    }

    /// The response head arrived, or a reply was made.
    fn on_response_head(&self, _exchange: &mut Exchange) -> HeadAction {
        HeadAction::Next
    }

    /// A chunk of the response body, or all of it, as the head phase asked.
    fn on_response_body(&self, _exchange: &mut Exchange, _chunk: Chunk) -> BodyAction {
        BodyAction::Next
    }

    /// The response's trailers were read.
    fn on_response_trailers(&self, _exchange: &mut Exchange) -> BodyAction {
        BodyAction::Next
    }

    /// The exchange is over.
    fn on_log(&self, _exchange: &Exchange) {}
}

/// A piece of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its bytes; the last chunk may be empty.
    pub bytes: Vec<u8>,
    /// Whether nothing follows.
    pub end: bool,
}

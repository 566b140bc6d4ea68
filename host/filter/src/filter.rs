//! What a filter is.

use std::fmt;

use bytes::Bytes;

use crate::{BodyAction, Exchange, FilterError, HeadAction};

bitflags::bitflags! {
    /// The phases in which a filter runs. A phase that is not named is never called.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Phases: u8 {
        /// The request head was read.
        const REQUEST_HEAD = 1;
        /// Request body, as the head phase planned it.
        const REQUEST_BODY = 1 << 1;
        /// The response head arrived, or a reply was made.
        const RESPONSE_HEAD = 1 << 2;
        /// Response body, as the head phase planned it.
        const RESPONSE_BODY = 1 << 3;
        /// The exchange is over.
        const LOG = 1 << 4;
    }
}

/// One configured use of a plugin, shared by all workers.
///
/// A call never waits. Every phase works on the exchange it is given; on an error the exchange must be
/// left usable, since the chain goes on with it by the step's failure mode.
pub trait Filter: Send + Sync + fmt::Debug {
    /// The filter's name, unique in its snapshot.
    fn name(&self) -> &str;

    /// The phases it wants.
    fn phases(&self) -> Phases;

    /// Reads and edits the request head; may plan the body.
    ///
    /// # Errors
    /// Like every phase: the filter failed; the chain applies its failure mode.
    fn on_request_head(&self, _exchange: &mut Exchange) -> Result<HeadAction, FilterError> {
        Ok(HeadAction::Next)
    }

    /// Reads a chunk, or the whole body with `end`; a replacement is staged on the exchange.
    ///
    /// # Errors
    /// See [`Filter::on_request_head`].
    fn on_request_body(
        &self,
        _exchange: &mut Exchange,
        _chunk: &Bytes,
        _end: bool,
    ) -> Result<BodyAction, FilterError> {
        Ok(BodyAction::Next)
    }

    /// Reads and edits the response head; may plan the body.
    ///
    /// # Errors
    /// See [`Filter::on_request_head`].
    fn on_response_head(&self, _exchange: &mut Exchange) -> Result<HeadAction, FilterError> {
        Ok(HeadAction::Next)
    }

    /// Reads a chunk, or the whole body with `end`; a replacement is staged on the exchange.
    ///
    /// # Errors
    /// See [`Filter::on_request_head`].
    fn on_response_body(
        &self,
        _exchange: &mut Exchange,
        _chunk: &Bytes,
        _end: bool,
    ) -> Result<BodyAction, FilterError> {
        Ok(BodyAction::Next)
    }

    /// Sees the finished exchange.
    ///
    /// # Errors
    /// See [`Filter::on_request_head`]; here it is only reported.
    fn on_log(&self, _exchange: &mut Exchange) -> Result<(), FilterError> {
        Ok(())
    }
}

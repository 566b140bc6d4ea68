//! What `crate::fuzzing` opens of the host functions.

use http::HeaderMap;
use wasmtime::Result;

use super::fields::{Edit, Message};
use super::grpc;
use super::request::Request;
use super::response::Response;
use super::trailers::{RequestTrailers, ResponseTrailers};
use crate::state::State;

/// The part of an exchange that is edited.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// The head of the request.
    Request,
    /// The head of the response.
    Response,
    /// The fields after the request's body.
    RequestTrailers,
    /// The fields after the response's body.
    ResponseTrailers,
}

/// What is done with a field.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// `set-header`
    Set,
    /// `append-header`
    Append,
    /// `remove-header`
    Remove,
}

impl Part {
    pub(crate) fn edit(
        self,
        state: &mut State,
        operation: Operation,
        name: &str,
        value: &[u8],
    ) -> Result<()> {
        match self {
            Self::Request => edit::<Request>(state, operation, name, value),
            Self::Response => edit::<Response>(state, operation, name, value),
            Self::RequestTrailers => edit::<RequestTrailers>(state, operation, name, value),
            Self::ResponseTrailers => edit::<ResponseTrailers>(state, operation, name, value),
        }
    }
}

fn edit<M: Message>(state: &mut State, operation: Operation, name: &str, value: &[u8]) -> Result<()> {
    match operation {
        Operation::Set => Edit::parse::<M>(name, value).set::<M>(state),
        Operation::Append => Edit::parse::<M>(name, value).append::<M>(state),
        Operation::Remove => {
            Edit::parse::<M>(name, &[]).remove::<M>(state);
            Ok(())
        }
    }
}

/// Takes the messages of a gRPC body out of its pieces.
#[derive(Debug)]
pub struct Messages(grpc::Decoder);

impl Messages {
    /// Refuses messages of more bytes than this.
    pub fn new(largest: u64) -> Self {
        Self(grpc::Decoder::new(largest))
    }

    /// Adds a piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.0.push(piece);
    }

    /// The next whole message.
    ///
    /// # Errors
    /// When there cannot be one: it is too large, or compressed.
    pub fn message(&mut self) -> std::result::Result<Option<Vec<u8>>, &'static str> {
        self.0.next().map_err(|error| match error {
            grpc::Undecodable::TooLarge => "too large",
            grpc::Undecodable::Compressed => "compressed",
        })
    }

    /// True when no part of a message is left over.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Code, message and number of trailers of the status in these fields.
pub fn status(fields: &HeaderMap) -> Option<(u32, String, usize)> {
    let status = grpc::of_fields(fields)?;
    Some((status.code, status.message, status.trailers.len()))
}

//! One gRPC stream: messages out, messages and a status in.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use weir_filter::{CalloutStream, StreamEvent};

use super::message::{Decoder, Undecodable, encode};
use super::status;
use crate::bindings::grpc::{Received, Status};
use crate::bindings::upstream::Error;
use crate::capability::upstream;

/// A stream that a filter has open. Dropping it ends it in both directions.
#[derive(Debug)]
pub(super) struct GrpcStream {
    stream: CalloutStream,
    decoder: Decoder,
    metadata: HeaderMap,
    end: Option<Result<Status, Error>>,
    timeout: Duration,
}

impl GrpcStream {
    pub(super) fn new(stream: CalloutStream, largest: u64, timeout: Duration) -> Self {
        Self {
            stream,
            decoder: Decoder::new(largest),
            metadata: HeaderMap::new(),
            end: None,
            timeout,
        }
    }

    /// How long one `send` or `receive` may take.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The fields of the response head; empty until it came.
    pub(super) const fn metadata(&self) -> &HeaderMap {
        &self.metadata
    }

    /// Sends a message when there is room for it. Dropping the future before loses the message, not the stream.
    pub(super) async fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        let frame = encode(message).ok_or(Error::TooLarge)?;
        let sender = self.stream.sender.as_ref().ok_or(Error::Invalid)?;
        sender.send(frame).await.map_err(|_| Error::Reset)
    }

    /// No more messages will be sent.
    pub(super) fn finish(&mut self) {
        self.stream.sender = None;
    }

    /// The next message, or the end. Dropping the future loses nothing.
    pub(super) async fn receive(&mut self) -> Result<Received, Error> {
        loop {
            match self.decoder.next() {
                Ok(Some(message)) => return Ok(Received::Message(message)),
                Ok(None) => {}
                Err(Undecodable::TooLarge) => return Err(self.broken(Error::TooLarge)),
                Err(Undecodable::Compressed) => return Err(self.broken(Error::Reset)),
            }
            if let Some(end) = &self.end {
                return end.clone().map(Received::End);
            }
            let event = self.stream.events.recv().await;
            self.take(event);
        }
    }

    fn take(&mut self, event: Option<StreamEvent>) {
        match event {
            Some(StreamEvent::Head(StatusCode::OK, fields)) => {
                // A response without a body has its status in the head.
                self.end = status::of_fields(&fields).map(Ok);
                self.metadata = fields;
            }
            Some(StreamEvent::Head(status, _)) => self.end = Some(Ok(status::of_http(status))),
            Some(StreamEvent::Data(piece)) => self.decoder.push(&piece),
            Some(StreamEvent::Trailers(fields)) if self.decoder.is_empty() => {
                self.end = Some(Ok(status::of_fields(&fields).unwrap_or_else(status::missing)));
            }
            // It ended in the middle of a message.
            Some(StreamEvent::Trailers(_)) => self.end = Some(Err(Error::Reset)),
            Some(StreamEvent::Failed(error)) => self.end = Some(Err(upstream::error(error))),
            None => self.end = Some(Ok(status::missing())),
        }
    }

    /// Nothing more can be read from it.
    fn broken(&mut self, error: Error) -> Error {
        self.decoder = Decoder::new(0);
        self.stream.events.close();
        self.stream.sender = None;
        self.end = Some(Err(error));
        error
    }
}

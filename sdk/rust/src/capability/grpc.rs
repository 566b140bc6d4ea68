//! gRPC to backends that the filter was granted by name. Capability `upstream` too. Messages are the bytes of
//! one protobuf message; the host frames them.

use std::borrow::Borrow;
use std::time::Duration;

use super::{field, timeout};
use crate::Stored;
use crate::bindings::weir::policy::grpc as host;

pub use crate::bindings::weir::policy::grpc::{Answer, Call, Received, Status};
pub use crate::bindings::weir::policy::upstream::Error;

/// One message there, one back.
///
/// ```no_run
/// use weir_sdk::grpc::{self, Call};
///
/// # fn check(request: &[u8]) -> Result<bool, grpc::Error> {
/// let call = Call::new("envoy.service.auth.v3.Authorization", "Check");
/// match grpc::unary("auth", call, request)?.into_message() {
///     Ok(message) => Ok(!message.is_empty()),
///     Err(status) => Ok(status.code == 12),
/// }
/// # }
/// ```
///
/// # Errors
/// When the call did not come to its end. A gRPC status that is not OK is an answer.
pub fn unary(backend: &str, call: impl Borrow<Call>, message: impl AsRef<[u8]>) -> Result<Answer, Error> {
    host::unary(backend, call.borrow(), message.as_ref())
}

impl Call {
    /// A call of `method` of the service, which is named with its package.
    pub fn new(service: impl Into<String>, method: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            method: method.into(),
            metadata: Vec::new(),
            timeout_ms: 0,
            max_message: 0,
        }
    }

    /// Adds metadata.
    #[must_use]
    pub fn metadata(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.metadata.push(field(name, value.as_ref()));
        self
    }

    /// How long a unary call, or each `send` and `receive` of a stream, may take, rounded up to milliseconds.
    /// Without it, the rest of the phase's wall time, which is also the most.
    #[must_use]
    pub fn timeout(mut self, duration: Duration) -> Self {
        self.timeout_ms = timeout(duration);
        self
    }

    /// The largest message received, in bytes. Without it, the filter's own limit, which is also the largest.
    #[must_use]
    pub const fn max_message(mut self, bytes: u32) -> Self {
        self.max_message = bytes;
        self
    }
}

impl Answer {
    /// The message, or the status that came in its place.
    ///
    /// # Errors
    /// With the status, when it is not OK.
    pub fn into_message(self) -> Result<Vec<u8>, Status> {
        self.message.ok_or(self.status)
    }
}

impl Status {
    /// Whether the code is 0.
    pub const fn is_ok(&self) -> bool {
        self.code == 0
    }
}

/// A stream of this filter in this exchange.
///
/// It lives in the host, so it can be part of a [`note!`](crate::note!) and be taken up again in a later phase;
/// it ends with the exchange at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    id: host::StreamId,
}

impl Stream {
    /// Opens a stream that sends and receives at will. Answers at once; whether the endpoint can be reached
    /// shows in the first [`send`](Self::send) or [`receive`](Self::receive).
    ///
    /// # Errors
    /// When the backend is not granted, the call is malformed, or the filter made all its calls.
    pub fn open(backend: &str, call: impl Borrow<Call>) -> Result<Self, Error> {
        host::open(backend, call.borrow()).map(|id| Self { id })
    }

    /// The stream of that number, opened in an earlier phase of this exchange.
    pub const fn from_id(id: u32) -> Self {
        Self { id }
    }

    /// Its number.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Sends a message; waits until there is room for it on its way.
    ///
    /// # Errors
    /// When the stream is broken or the time is over.
    pub fn send(&self, message: impl AsRef<[u8]>) -> Result<(), Error> {
        host::send(self.id, message.as_ref())
    }

    /// Says that no more messages will be sent.
    pub fn finish(&self) {
        host::finish(self.id);
    }

    /// Waits for the next message or the end. After the end, every call answers it again.
    ///
    /// # Errors
    /// When the stream is broken, the message too large, or the time over.
    pub fn receive(&self) -> Result<Received, Error> {
        host::receive(self.id)
    }

    /// Ends the stream in both directions.
    pub fn cancel(self) {
        host::cancel(self.id);
    }
}

impl Stored for Stream {
    fn write(&self, out: &mut Vec<u8>) {
        self.id.write(out);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        u32::read(bytes).map(Self::from_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_can_be_kept_between_phases() {
        let mut bytes = Vec::new();
        Stream::from_id(7).write(&mut bytes);
        assert_eq!(Stream::read(&mut bytes.as_slice()), Some(Stream::from_id(7)));
    }

    #[test]
    fn a_status_takes_the_place_of_a_missing_message() {
        let status = Status {
            code: 7,
            message: "no".to_owned(),
            trailers: Vec::new(),
        };
        let answer = |message| Answer {
            message,
            metadata: Vec::new(),
            status: status.clone(),
        };
        assert_eq!(answer(Some(vec![1])).into_message(), Ok(vec![1]));
        assert_eq!(answer(None).into_message(), Err(status.clone()));
        assert!(!status.is_ok());
    }

    #[test]
    fn a_call_says_what_its_builder_was_told() {
        let call = Call::new("a.B", "C")
            .metadata("x-a", "1")
            .timeout(Duration::from_secs(1))
            .max_message(9);
        assert_eq!((call.service.as_str(), call.method.as_str()), ("a.B", "C"));
        assert_eq!(call.metadata, [field("x-a", b"1")]);
        assert_eq!((call.timeout_ms, call.max_message), (1000, 9));
    }
}

//! Backends that answer callouts with what a fuzzer wants, and check what they are sent.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tokio::sync::mpsc;
use weir_filter::{
    CalloutError, CalloutRequest, CalloutResponse, CalloutStream, Callouts, FetchFuture, StreamEvent,
};

use crate::{Input, check_fields};

/// Answers from one script, in the order in which they are asked for.
#[derive(Debug)]
pub struct Script {
    left: Mutex<Vec<u8>>,
    /// The other ends of streams that neither end nor break.
    hanging: Mutex<Vec<(mpsc::Sender<StreamEvent>, Option<mpsc::Receiver<Bytes>>)>>,
}

impl Script {
    /// Answers by these bytes; where they end, with an empty success.
    pub fn new(bytes: &[u8]) -> Arc<Self> {
        Arc::new(Self {
            left: Mutex::new(bytes.to_vec()),
            hanging: Mutex::default(),
        })
    }

    fn read<T>(&self, read: impl FnOnce(&mut Input<'_>) -> T) -> T {
        let mut left = self.left.lock().expect("one thread");
        let bytes = std::mem::take(&mut *left);
        let mut input = Input::new(&bytes);
        let answer = read(&mut input);
        *left = input.rest().to_vec();
        answer
    }
}

impl Callouts for Script {
    fn fetch(&self, cluster: &str, request: CalloutRequest) -> FetchFuture {
        check_request(cluster, &request);
        let answer = self.read(|input| match input.byte() {
            kind @ 250.. => Err(error(kind)),
            _ => Ok(CalloutResponse {
                status: status(input),
                headers: input.fields(),
                body: input.body(),
                trailers: input.fields(),
            }),
        });
        let answer = answer.and_then(|it| {
            let fits = it.body.len() as u64 <= request.largest_response;
            fits.then_some(it).ok_or(CalloutError::TooLarge)
        });
        let waits = self.read(|input| input.byte() == 255);
        Box::pin(async move {
            if waits {
                std::future::pending::<()>().await;
            }
            answer
        })
    }

    fn stream(&self, cluster: &str, request: CalloutRequest) -> CalloutStream {
        check_request(cluster, &request);
        let (events, received) = mpsc::channel(8);
        let (sender, sent) = mpsc::channel(2);
        let plan = self.read(|input| {
            let plan = input.byte();
            for _ in 0..plan % 8 {
                // The channel has room for all of them.
                let _sent = events.try_send(event(input));
            }
            plan
        });
        match plan >> 6 {
            0 | 1 => {}
            2 => self
                .hanging
                .lock()
                .expect("one thread")
                .push((events, Some(sent))),
            _ => self.hanging.lock().expect("one thread").push((events, None)),
        }
        CalloutStream {
            sender: Some(sender),
            events: received,
        }
    }
}

fn check_request(cluster: &str, request: &CalloutRequest) {
    assert_eq!(cluster, "granted");
    assert!(
        request.path.starts_with('/') && request.path.parse::<http::Uri>().is_ok(),
        "{}",
        request.path
    );
    assert_ne!(request.method, Method::CONNECT);
    assert!(request.authority.is_empty() || request.authority.parse::<http::uri::Authority>().is_ok());
    assert!(!request.headers.contains_key(http::header::HOST));
    // A gRPC call has the one field of these that its protocol asks for.
    let mut fields = request.headers.clone();
    if fields.get(http::header::TE).is_some_and(|it| it == "trailers") {
        fields.remove(http::header::TE);
    }
    check_fields(&fields);
}

fn event(input: &mut Input<'_>) -> StreamEvent {
    match input.byte() % 8 {
        0 => StreamEvent::Head(status(input), input.fields()),
        1 => StreamEvent::Head(StatusCode::OK, HeaderMap::new()),
        2 => StreamEvent::Trailers(input.fields()),
        3 => StreamEvent::Failed(error(input.byte())),
        4 => {
            let message = input.body();
            let mut frame = vec![0];
            frame.extend((message.len() as u32).to_be_bytes());
            frame.extend(message);
            StreamEvent::Data(frame.into())
        }
        _ => StreamEvent::Data(input.body()),
    }
}

fn status(input: &mut Input<'_>) -> StatusCode {
    let code = u16::from(input.byte()) * 4 + 100;
    StatusCode::from_u16(code.min(999)).expect("in range")
}

const fn error(byte: u8) -> CalloutError {
    match byte % 5 {
        0 => CalloutError::Connect,
        1 => CalloutError::Timeout,
        2 => CalloutError::TooLarge,
        3 => CalloutError::Reset,
        _ => CalloutError::Invalid,
    }
}

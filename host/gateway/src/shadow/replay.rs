//! Callouts of a shadow: it gets the answers that the live filter got, and reaches nobody.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Method;
use tokio::sync::mpsc;
use weir_filter::{
    CalloutError, CalloutRequest, CalloutResponse, CalloutStream, Callouts, FetchFuture, StreamEvent,
};

type Answer = Result<CalloutResponse, CalloutError>;

/// What makes two callouts the same.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    cluster: String,
    method: Method,
    path: String,
    body: Bytes,
}

/// Passes the live filter's callouts on and notes the answers.
#[derive(Debug)]
pub(super) struct Recorder {
    inner: Arc<dyn Callouts>,
    tape: Arc<Mutex<Vec<(Asked, Answer)>>>,
}

/// Answers from the tape. What is not on it cannot be asked: the difference shows in what the shadow decides.
#[derive(Debug)]
struct Replay(Arc<Mutex<Vec<(Asked, Answer)>>>);

impl Recorder {
    pub(super) fn new(inner: Arc<dyn Callouts>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            tape: Arc::default(),
        })
    }

    /// The way that the live filter had.
    pub(super) fn inner(&self) -> Arc<dyn Callouts> {
        Arc::clone(&self.inner)
    }

    /// What was recorded, for the shadow.
    pub(super) fn replay(&self) -> Arc<dyn Callouts> {
        Arc::new(Replay(Arc::clone(&self.tape)))
    }
}

impl Callouts for Recorder {
    fn fetch(&self, cluster: &str, request: CalloutRequest) -> FetchFuture {
        let asked = Asked::of(cluster, &request);
        let tape = Arc::clone(&self.tape);
        let answered = self.inner.fetch(cluster, request);
        Box::pin(async move {
            let answer = answered.await;
            tape.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((asked, answer.clone()));
            answer
        })
    }

    fn stream(&self, cluster: &str, request: CalloutRequest) -> CalloutStream {
        self.inner.stream(cluster, request)
    }
}

impl Callouts for Replay {
    fn fetch(&self, cluster: &str, request: CalloutRequest) -> FetchFuture {
        let asked = Asked::of(cluster, &request);
        let tape = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = tape.iter().find(|(it, _)| *it == asked);
        let answer = found.map_or(Err(CalloutError::Connect), |(_, answer)| answer.clone());
        Box::pin(std::future::ready(answer))
    }

    fn stream(&self, _: &str, _: CalloutRequest) -> CalloutStream {
        let (events, received) = mpsc::channel(1);
        // It has room: nothing was sent yet.
        let _ = events.try_send(StreamEvent::Failed(CalloutError::Connect));
        CalloutStream {
            sender: None,
            events: received,
        }
    }
}

impl Asked {
    fn of(cluster: &str, request: &CalloutRequest) -> Self {
        Self {
            cluster: cluster.to_owned(),
            method: request.method.clone(),
            path: request.path.clone(),
            body: request.body.clone(),
        }
    }
}

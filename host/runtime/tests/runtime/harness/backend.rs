//! A test double of the proxy's side of callouts: scripted answers, and a record of what was asked.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::sync::mpsc::{self, Receiver, Sender};
use weir_filter::{
    CalloutError, CalloutRequest, CalloutResponse, CalloutStream, Callouts, FetchFuture, StreamEvent,
};

/// Answers fetches from a script, one entry each, and with a plain 200 when it is at its end.
#[derive(Debug, Default)]
pub(crate) struct Backend {
    script: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<(String, CalloutRequest)>>,
    streams: Mutex<Vec<Far>>,
    events: Mutex<Vec<StreamEvent>>,
    dropped: Arc<AtomicUsize>,
}

/// What one fetch comes to.
#[derive(Debug)]
pub(crate) enum Answer {
    Response(Box<CalloutResponse>),
    Failure(CalloutError),
    /// Nothing, ever.
    Never,
    /// A plain 200, later.
    After(Duration),
}

impl Answer {
    pub(crate) fn of(response: CalloutResponse) -> Self {
        Self::Response(Box::new(response))
    }
}

/// The far end of a stream.
#[derive(Debug)]
pub(crate) struct Far {
    pub(crate) sent: Receiver<Bytes>,
    pub(crate) events: Sender<StreamEvent>,
}

impl Backend {
    pub(crate) fn new(script: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(script.into_iter().collect()),
            ..Self::default()
        })
    }

    /// Every stream gets these events at once.
    pub(crate) fn streaming(events: impl IntoIterator<Item = StreamEvent>) -> Arc<Self> {
        Arc::new(Self {
            events: Mutex::new(events.into_iter().collect()),
            ..Self::default()
        })
    }

    /// What was asked, with the cluster.
    pub(crate) fn asked(&self) -> Vec<(String, CalloutRequest)> {
        self.asked.lock().unwrap().clone()
    }

    /// Fetches that were dropped before they had an answer.
    pub(crate) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn was_asked(&self) -> bool {
        !self.asked.lock().unwrap().is_empty()
    }

    /// The far end of the last stream.
    pub(crate) fn stream(&self) -> Far {
        self.streams.lock().unwrap().pop().unwrap()
    }
}

impl Callouts for Backend {
    fn fetch(&self, cluster: &str, request: CalloutRequest) -> FetchFuture {
        self.asked.lock().unwrap().push((cluster.to_owned(), request));
        let answer = self.script.lock().unwrap().pop_front();
        let pending = Pending(Some(Arc::clone(&self.dropped)));
        Box::pin(async move {
            let mut pending = pending;
            let answer = match answer {
                None => Ok(plain("ok")),
                Some(Answer::Response(response)) => Ok(*response),
                Some(Answer::Failure(error)) => Err(error),
                Some(Answer::Never) => std::future::pending().await,
                Some(Answer::After(time)) => {
                    tokio::time::sleep(time).await;
                    Ok(plain("late"))
                }
            };
            pending.0.take();
            answer
        })
    }

    fn stream(&self, cluster: &str, request: CalloutRequest) -> CalloutStream {
        self.asked.lock().unwrap().push((cluster.to_owned(), request));
        let (sender, sent) = mpsc::channel(1);
        let script = self.events.lock().unwrap().clone();
        let (events, received) = mpsc::channel(script.len() + 8);
        for event in script {
            events.try_send(event).unwrap();
        }
        self.streams.lock().unwrap().push(Far { sent, events });
        CalloutStream {
            sender: Some(sender),
            events: received,
        }
    }
}

/// A 200 with this body.
pub(crate) fn plain(body: &'static str) -> CalloutResponse {
    CalloutResponse {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Bytes::from_static(body.as_bytes()),
        trailers: HeaderMap::new(),
    }
}

/// Counts a future that is dropped too early.
struct Pending(Option<Arc<AtomicUsize>>);

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(dropped) = &self.0 {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

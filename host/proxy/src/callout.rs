//! Callouts of filters: they leave by the worker's own clusters and connections, and end with whoever asked.

mod fetch;
mod request;
mod stream;

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use weir_filter::{
    CalloutError, CalloutRequest, CalloutResponse, CalloutStream, Callouts, FetchFuture, StreamEvent,
};

use crate::upstream::UpstreamError;
use crate::worker::Worker;

/// Callouts of one worker that may wait to be started. They do so for one turn of the worker, so this many filters
/// would have to ask within it; the room is not taken before.
const MAX_QUEUED: usize = 16 << 10;

/// Pieces of a stream's body that wait in either direction.
const STREAM_QUEUE: usize = 8;

/// The worker's side of [`weir_filter::Callouts`]: filters may not hold what belongs to one thread, so what they ask
/// is queued here and runs as a task of the worker.
#[derive(Debug)]
pub(crate) struct WorkerCallouts {
    jobs: mpsc::Sender<Job>,
}

/// What was asked of a worker.
pub(crate) struct Job {
    cluster: String,
    request: CalloutRequest,
    work: Work,
}

enum Work {
    Fetch(oneshot::Sender<Result<CalloutResponse, CalloutError>>),
    Stream {
        outgoing: mpsc::Receiver<bytes::Bytes>,
        events: mpsc::Sender<StreamEvent>,
    },
}

impl WorkerCallouts {
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<Job>) {
        let (jobs, queue) = mpsc::channel(MAX_QUEUED);
        (Arc::new(Self { jobs }), queue)
    }
}

impl Callouts for WorkerCallouts {
    fn fetch(&self, cluster: &str, request: CalloutRequest) -> FetchFuture {
        let (answer, answered) = oneshot::channel();
        let job = Job {
            cluster: cluster.to_owned(),
            request,
            work: Work::Fetch(answer),
        };
        let queued = self.jobs.try_send(job);
        let jobs = self.jobs.clone();
        Box::pin(async move {
            match queued {
                Ok(()) => {}
                // A worker that has ended drops the answer, which is all that is looked at.
                Err(TrySendError::Full(job)) => drop(jobs.send(job).await),
                Err(TrySendError::Closed(job)) => drop(job),
            }
            answered.await.unwrap_or(Err(CalloutError::Reset))
        })
    }

    fn stream(&self, cluster: &str, request: CalloutRequest) -> CalloutStream {
        let (sender, outgoing) = mpsc::channel(STREAM_QUEUE);
        let (events, received) = mpsc::channel(STREAM_QUEUE);
        let job = Job {
            cluster: cluster.to_owned(),
            request,
            work: Work::Stream { outgoing, events },
        };
        if let Err(error) = self.jobs.try_send(job)
            && let Work::Stream { events, .. } = error.into_inner().work
        {
            // Its queue is empty, so there is room.
            let _ = events.try_send(StreamEvent::Failed(CalloutError::Connect));
        }
        CalloutStream {
            sender: Some(sender),
            events: received,
        }
    }
}

/// Starts what filters ask, until the worker ends.
pub(crate) async fn run(worker: Rc<Worker>, mut queue: mpsc::Receiver<Job>) {
    while let Some(job) = queue.recv().await {
        tokio::task::spawn_local(job.run(Rc::clone(&worker)));
    }
}

impl Job {
    /// Works until it is done or nobody waits for it any more.
    async fn run(self, worker: Rc<Worker>) {
        let Self {
            cluster,
            request,
            work,
        } = self;
        match work {
            Work::Fetch(mut answer) => {
                let result = tokio::select! {
                    biased;
                    () = answer.closed() => return,
                    result = fetch::fetch(&worker, &cluster, request) => result,
                };
                // Who left in between wants no answer.
                let _ = answer.send(result);
            }
            Work::Stream { outgoing, events } => {
                stream::run(&worker, &cluster, request, outgoing, events).await;
            }
        }
    }
}

/// What a filter learns of an upstream's error; the log learns all.
fn upstream_error(error: &UpstreamError) -> CalloutError {
    tracing::debug!(%error, "callout failed");
    match error {
        UpstreamError::Connect { .. } => CalloutError::Connect,
        UpstreamError::Timeout { .. } => CalloutError::Timeout,
        UpstreamError::Reset { .. } | UpstreamError::Malformed { .. } | UpstreamError::RequestBody(_) => {
            CalloutError::Reset
        }
    }
}

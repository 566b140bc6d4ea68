//! What a callout of a guest costs beside the same callout by native code, and what it costs a guest to wait.

use std::cell::Cell;
use std::future::poll_fn;
use std::hint::black_box;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use weir_filter::{
    CalloutError, CalloutRequest, CalloutResponse, CalloutStream, Callouts, FetchFuture, Filter, Phase,
    StreamEvent,
};

use crate::bed::{Bed, Visit, worker};
use crate::round::{Row, medians, nanoseconds, table};

const ROUNDS: usize = 101;
const CALLS: u32 = 300;

pub(crate) fn run() {
    let (bed, worker) = (Bed::new(None), worker());
    let kinds = [
        (Backend::AtOnce, "is there at once"),
        (Backend::NextTurn, "is there when the worker asks again"),
        (
            Backend::OtherTask,
            "comes from another task, as a client's connection does",
        ),
    ];
    let filter = bed.filter("costs", "times=1 call=upstream.fetch");
    let mut rows = vec![component(
        &worker,
        Backend::AtOnce,
        bed.filter("costs", "times=0 call=upstream.fetch"),
    )];
    for (backend, _) in kinds {
        rows.push(native(&worker, backend));
        rows.push(component(&worker, backend, Arc::clone(&filter)));
    }
    let medians = medians(&mut rows, ROUNDS);
    let (empty, pairs) = medians.split_first().unwrap();
    table(
        "A callout, by when its answer comes",
        &["the answer", "native: ns", "policy: ns", "the policy adds: ns"],
    );
    for ((_, name), pair) in kinds.iter().zip(pairs.chunks(2)) {
        if let [native, policy] = pair {
            println!("| {name} | {native:.0} | {policy:.0} | {:.0} |", policy - native);
        }
    }
    println!(
        "\nThe policy's time is that of a whole phase call, of which a call without callout is {empty:.0} ns. The \
         second row less the first is what it costs to park a guest in the host and go on with it."
    );
}

/// The callout by native code.
fn native(worker: &Runtime, backend: Backend) -> Row<'_> {
    Row::new("native", move || {
        let since = Instant::now();
        worker.block_on(async {
            for _ in 0..CALLS {
                black_box(backend.fetch("c", request()).await.unwrap());
            }
        });
        nanoseconds(since) / f64::from(CALLS)
    })
}

/// The callout by a guest.
fn component(worker: &Runtime, backend: Backend, filter: Arc<dyn Filter>) -> Row<'_> {
    let mut visit = Some(Visit::new(Some(Arc::new(backend))));
    Row::new("component", move || {
        let own = visit.take().unwrap();
        let since = Instant::now();
        let own = worker.block_on(async {
            let mut own = own;
            for _ in 0..CALLS {
                own = own.call(&*filter, Phase::RequestHead).await;
            }
            own
        });
        let sample = nanoseconds(since) / f64::from(CALLS);
        visit = Some(own);
        sample
    })
}

fn request() -> CalloutRequest {
    CalloutRequest {
        method: Method::GET,
        path: "/check".to_owned(),
        authority: "backend".to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(10),
        largest_response: 1 << 20,
    }
}

/// Stands for the proxy's side of callouts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backend {
    /// Answers when it is asked for the first time.
    AtOnce,
    /// Answers when it is asked for the second time, which it asks for itself.
    NextTurn,
    /// Another task of the worker answers.
    OtherTask,
}

impl Callouts for Backend {
    fn fetch(&self, _: &str, _: CalloutRequest) -> FetchFuture {
        match self {
            Self::AtOnce => Box::pin(async { Ok(response()) }),
            Self::NextTurn => Box::pin(async {
                let mut asked = false;
                poll_fn(|cx| {
                    if asked {
                        return Poll::Ready(());
                    }
                    asked = true;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
                Ok(response())
            }),
            Self::OtherTask => Box::pin(async {
                let (sender, answer) = oneshot::channel();
                tokio::spawn(async { sender.send(response()) });
                answer.await.map_err(|_| CalloutError::Reset)
            }),
        }
    }

    /// A message and a good end, there at once.
    fn stream(&self, _: &str, _: CalloutRequest) -> CalloutStream {
        let (sender, sent) = mpsc::channel(1);
        SENT.set(Some(sent));
        let (events, received) = mpsc::channel(3);
        let ended = HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        )]);
        for event in [
            StreamEvent::Head(StatusCode::OK, HeaderMap::new()),
            // Not compressed, six bytes.
            StreamEvent::Data(Bytes::from_static(b"\0\0\0\0\x06answer")),
            StreamEvent::Trailers(ended),
        ] {
            events.try_send(event).unwrap();
        }
        CalloutStream {
            sender: Some(sender),
            events: received,
        }
    }
}

thread_local! {
    /// The far end of the last stream: while it is there, the guest can send.
    static SENT: Cell<Option<mpsc::Receiver<Bytes>>> = const { Cell::new(None) };
}

fn response() -> CalloutResponse {
    CalloutResponse {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"ok"),
        trailers: HeaderMap::new(),
    }
}

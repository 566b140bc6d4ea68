//! The request's body on its way into a guest. The body belongs to the worker's thread and a store may not hold such
//! things, so one piece at a time crosses over.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc;
use wasmtime_wasi_http::Error;
use weir_filter::{BodyError, RequestBody};

/// The worker's side. Dropping it breaks the body off for the guest, unless it was at its end.
pub(super) struct Pump {
    work: Option<Work>,
    signs: Arc<Signs>,
}

/// The guest's side.
pub(super) struct Upload {
    pieces: mpsc::Receiver<Result<Frame<Bytes>, Error>>,
    signs: Arc<Signs>,
    ended: bool,
}

type Work = Pin<Box<dyn Future<Output = Result<(), BodyError>>>>;

/// What both sides know.
#[derive(Default)]
struct Signs {
    /// The guest waits for the client.
    wanted: AtomicBool,
    /// A piece came since somebody looked.
    moved: AtomicBool,
    /// The body came to its end.
    over: AtomicBool,
}

/// Connects a body with a guest.
pub(super) fn bridge(body: Option<RequestBody>) -> (Pump, Upload) {
    let signs = Arc::<Signs>::default();
    let (sender, pieces) = mpsc::channel(1);
    signs.over.store(body.is_none(), Ordering::Relaxed);
    let pump = Pump {
        work: body.map(|body| Box::pin(pump(body, sender, Arc::clone(&signs))) as Work),
        signs: Arc::clone(&signs),
    };
    let upload = Upload {
        pieces,
        signs,
        ended: false,
    };
    (pump, upload)
}

impl Pump {
    /// Moves what can be moved; ready when the body broke off.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let Some(work) = &mut self.work else {
            return Poll::Pending;
        };
        match work.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => {
                self.work = None;
                result.map_or_else(Poll::Ready, |()| Poll::Pending)
            }
        }
    }

    /// True when the guest can go on only after the client.
    pub(super) fn waits_for_client(&self) -> bool {
        self.work.is_some() && self.signs.wanted.load(Ordering::Relaxed)
    }

    /// True once after a piece moved.
    pub(super) fn has_moved(&self) -> bool {
        self.signs.moved.swap(false, Ordering::Relaxed)
    }
}

/// Reads a piece only when there is room for it.
async fn pump(
    mut body: RequestBody,
    sender: mpsc::Sender<Result<Frame<Bytes>, Error>>,
    signs: Arc<Signs>,
) -> Result<(), BodyError> {
    // A guest that wants no more closes the channel.
    while let Ok(room) = sender.reserve().await {
        let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await else {
            signs.over.store(true, Ordering::Relaxed);
            return Ok(());
        };
        room.send(Ok(frame?));
        signs.moved.store(true, Ordering::Relaxed);
    }
    Ok(())
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let polled = this.pieces.poll_recv(cx);
        this.signs.wanted.store(polled.is_pending(), Ordering::Relaxed);
        polled.map(|piece| {
            this.ended = piece.is_none();
            // Part of a body must not look like the whole.
            piece.or_else(|| {
                (!this.signs.over.load(Ordering::Relaxed)).then_some(Err(Error::ConnectionTerminated))
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

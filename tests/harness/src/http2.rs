//! An HTTP/2 upstream (prior knowledge) whose streams do what a test wants.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How a stream ended early.
type Ended = Result<(), h2::Error>;

type Handler = dyn Fn(Request<RecvStream>, SendResponse<Bytes>) -> Pin<Box<dyn Future<Output = Ended> + Send>>
    + Send
    + Sync;

/// A listening HTTP/2 origin.
#[derive(Debug)]
pub struct Http2Origin {
    /// Where it listens.
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    away: watch::Sender<usize>,
}

impl Http2Origin {
    /// Gives each stream to `handle`, on connections of up to 100 streams.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start<F>(
        handle: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Ended> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener
            .set_nonblocking(true)
            .expect("a socket that does not block");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::<AtomicUsize>::default();
        let (away, gone) = watch::channel(0);
        let handle: Arc<Handler> = Arc::new(move |request, response| Box::pin(handle(request, response)));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            // Ends with the test's process.
            let _: io::Result<()> = runtime.block_on(async {
                let listener = TcpListener::from_std(listener)?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    count.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(serve(stream, Arc::clone(&handle), gone.clone()));
                }
            });
        });
        Self {
            address,
            connections,
            away,
        }
    }

    /// Answers with 200 at once, sends every piece back as it comes, and ends with the trailer `x-sum`, the number of
    /// bytes.
    pub fn echo() -> Self {
        Self::start(|request, mut response| async move {
            let mut send = response.send_response(Response::new(()), false)?;
            let mut body = request.into_body();
            let mut sum = 0;
            while let Some(piece) = body.data().await {
                let piece = piece?;
                body.flow_control().release_capacity(piece.len())?;
                sum += piece.len();
                send_all(&mut send, piece).await?;
            }
            let trailers =
                HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), HeaderValue::from(sum))]);
            send.send_trailers(trailers)
        })
    }

    /// Connections accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Tells every connection that it takes no new streams.
    pub fn go_away(&self) {
        self.away.send_modify(|times| *times += 1);
    }
}

/// Sends a piece as the peer's window allows.
///
/// # Errors
/// When the stream is reset.
pub async fn send_all(send: &mut SendStream<Bytes>, mut piece: Bytes) -> Result<(), h2::Error> {
    while !piece.is_empty() {
        send.reserve_capacity(piece.len());
        let room = match send.capacity() {
            0 => poll_fn(|cx| send.poll_capacity(cx))
                .await
                .unwrap_or_else(|| Err(Reason::CANCEL.into()))?,
            room => room,
        };
        send.send_data(piece.split_to(room.min(piece.len())), false)?;
    }
    Ok(())
}

async fn serve(
    stream: TcpStream,
    handle: Arc<Handler>,
    mut gone: watch::Receiver<usize>,
) -> Result<(), h2::Error> {
    let _ = stream.set_nodelay(true);
    gone.mark_unchanged();
    let mut connection = h2::server::Builder::new()
        .max_concurrent_streams(100)
        .handshake::<_, Bytes>(stream)
        .await?;
    let mut leaving = pin!(async move {
        // Never, once the origin is dropped.
        if gone.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    });
    let mut left = false;
    loop {
        let accepted = poll_fn(|cx| {
            if !left && leaving.as_mut().poll(cx).is_ready() {
                left = true;
                connection.graceful_shutdown();
            }
            connection.poll_accept(cx)
        });
        let Some(accepted) = accepted.await else {
            return Ok(());
        };
        let (request, response) = accepted?;
        // What ends a stream early is seen by the client, or in the handler.
        tokio::spawn(handle(request, response));
    }
}

//! An upstream that answers as its test wants and remembers what it saw.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::{Message, read_message};

/// What an origin has seen so far.
#[derive(Debug, Default)]
pub struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<Message>>,
}

impl Seen {
    /// Connections accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests read, in order.
    pub fn requests(&self) -> Vec<Message> {
        self.requests.lock().expect("no panic while locked").clone()
    }

    /// The newest request.
    ///
    /// # Panics
    /// When there is none.
    pub fn last(&self) -> Message {
        self.requests().pop().expect("the origin saw a request")
    }
}

/// A listening origin.
#[derive(Debug)]
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it has seen.
    pub seen: Arc<Seen>,
}

type Answer = dyn Fn(&Message, &mut TcpStream) -> io::Result<bool> + Send + Sync;

impl Origin {
    /// Answers every request with 200 and a text: its name, the request line, each field, the body.
    pub fn echo(name: &'static str) -> Self {
        Self::answering(move |request| {
            let fields: String = request
                .headers
                .iter()
                .map(|(n, v)| format!("{n}: {v}\n"))
                .collect();
            let body = format!("{name}\n{}\n{fields}\n{}", request.line, request.text());
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
        })
    }

    /// Answers with the bytes that `answer` makes.
    pub fn answering<T: AsRef<[u8]>>(answer: impl Fn(&Message) -> T + Send + Sync + 'static) -> Self {
        Self::start(move |request, stream| {
            stream.write_all(answer(request).as_ref())?;
            Ok(true)
        })
    }

    /// Lets `answer` write to the connection; it returns whether the connection stays open.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(
        answer: impl Fn(&Message, &mut TcpStream) -> io::Result<bool> + Send + Sync + 'static,
    ) -> Self {
        Self::accepting(move |stream, seen| serve(stream, &answer, seen))
    }

    /// Gives each connection to `act` as it is; it is closed afterwards.
    ///
    /// # Panics
    /// When no port is free.
    pub fn raw(act: impl Fn(&mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::accepting(move |mut stream, _| act(&mut stream))
    }

    fn accepting(act: impl Fn(TcpStream, &Seen) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Seen::default());
        let (act, remembered) = (Arc::new(act), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (act, seen) = (Arc::clone(&act), Arc::clone(&remembered));
                seen.connections.fetch_add(1, Ordering::SeqCst);
                // A connection's end is the client's business; errors here show up in the test's answer.
                std::thread::spawn(move || drop(act(stream, &seen)));
            }
        });
        Self { address, seen }
    }
}

fn serve(stream: TcpStream, answer: &Answer, seen: &Seen) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let request = read_message(&mut reader, false)?;
        seen.requests
            .lock()
            .expect("no panic while locked")
            .push(request.clone());
        if !answer(&request, &mut writer)? {
            return writer.shutdown(Shutdown::Both);
        }
    }
}

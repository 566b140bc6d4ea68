//! A client that writes what it is told.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::{Message, read_message};

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// When nothing accepts there.
    pub fn connect(address: SocketAddr) -> Self {
        let stream =
            TcpStream::connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a read timeout");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends `GET path` with these fields (`name: value\r\n` each) and reads the answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn get(&mut self, path: &str, fields: &str) -> Message {
        self.exchange(&format!(
            "GET {path} HTTP/1.1\r\nhost: test.example\r\n{fields}\r\n"
        ))
    }

    /// Sends `POST path` with a body and reads the answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn post(&mut self, path: &str, fields: &str, body: &str) -> Message {
        let length = body.len();
        self.exchange(&format!(
            "POST {path} HTTP/1.1\r\nhost: test.example\r\ncontent-length: {length}\r\n{fields}\r\n{body}"
        ))
    }

    /// Writes a request and reads the answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn exchange(&mut self, request: &str) -> Message {
        self.write(request.as_bytes()).expect("the request is written");
        self.read(request.starts_with("HEAD ")).expect("an answer")
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// When the other side has closed.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads raw bytes until this text is among them, and returns them as text.
    ///
    /// # Panics
    /// When the other side ends before.
    pub fn read_until(&mut self, text: &str) -> String {
        let mut bytes = Vec::new();
        while !String::from_utf8_lossy(&bytes).contains(text) {
            let mut byte = [0];
            self.stream
                .read_exact(&mut byte)
                .unwrap_or_else(|error| panic!("waiting for {text:?}: {error}"));
            bytes.extend_from_slice(&byte);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads one answer.
    ///
    /// # Errors
    /// When the other side breaks off or takes too long.
    pub fn read(&mut self, bodiless: bool) -> io::Result<Message> {
        read_message(&mut self.stream, bodiless)
    }
}

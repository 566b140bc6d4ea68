//! A plain HTTP/1.1 client on one keep-alive connection, for replaying examples and for counting.
//!
//! It exists so that this crate needs no HTTP library: a newcomer's first command compiles this crate.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) reason: String,
    /// In the order they came, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// All values of a header.
    pub(crate) fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn has_token(&self, name: &str, token: &str) -> bool {
        self.header(name).any(|value| {
            value
                .split(',')
                .any(|part| part.trim().eq_ignore_ascii_case(token))
        })
    }
}

/// One connection.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    /// Opens a connection.
    pub(crate) fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self {
            stream: BufReader::new(stream),
            host: address.to_string(),
        })
    }

    /// Sends a request and reads its whole answer.
    pub(crate) fn exchange(&mut self, request: &Request) -> anyhow::Result<Response> {
        let bytes = encode(request, &self.host);
        self.send(&bytes)?;
        self.receive(&request.method)
    }

    /// Sends a request that is written out already.
    pub(crate) fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream
            .get_mut()
            .write_all(request)
            .context("cannot send the request")
    }

    /// Reads the answer to a request of the given method.
    pub(crate) fn receive(&mut self, method: &str) -> anyhow::Result<Response> {
        loop {
            let mut response = read_head(&mut self.stream)?;
            if (100..200).contains(&response.status) {
                continue;
            }
            let bodiless = method.eq_ignore_ascii_case("HEAD") || matches!(response.status, 204 | 304);
            if !bodiless {
                response.body = read_body(&mut self.stream, &response)?;
            }
            return Ok(response);
        }
    }
}

/// A request as it goes over the wire; `host` is used when the request names none.
pub(crate) fn encode(request: &Request, host: &str) -> Vec<u8> {
    let has = |name: &str| {
        request
            .headers
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    if !has("host") {
        head.push_str(&format!("host: {host}\r\n"));
    }
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !request.body.is_empty() && !has("content-length") && !has("transfer-encoding") {
        head.push_str(&format!("content-length: {}\r\n", request.body.len()));
    }
    head.push_str("\r\n");
    head.push_str(&request.body);
    head.into_bytes()
}

fn read_head(stream: &mut impl BufRead) -> anyhow::Result<Response> {
    let first = read_line(stream)?;
    let mut words = first.splitn(3, ' ');
    let version = words.next().unwrap_or_default();
    ensure!(version.starts_with("HTTP/1."), "not an HTTP/1 answer: {first:?}");
    let status = words
        .next()
        .unwrap_or_default()
        .parse()
        .with_context(|| format!("no status in {first:?}"))?;
    let reason = words.next().unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok(Response {
                status,
                reason,
                headers,
                body: Vec::new(),
            });
        }
        let (name, value) = line
            .split_once(':')
            .with_context(|| format!("no colon in header {line:?}"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_body(stream: &mut impl BufRead, head: &Response) -> anyhow::Result<Vec<u8>> {
    if head.has_token("transfer-encoding", "chunked") {
        return read_chunks(stream);
    }
    let mut body = Vec::new();
    if let Some(length) = head.header("content-length").next() {
        let length = length
            .parse()
            .with_context(|| format!("content-length {length:?} is no number"))?;
        body.resize(length, 0);
        stream
            .read_exact(&mut body)
            .context("the answer ended inside its body")?;
    } else {
        stream
            .read_to_end(&mut body)
            .context("cannot read the answer's body")?;
    }
    Ok(body)
}

/// Reads a chunked body and drops its trailers.
pub(crate) fn read_chunks(stream: &mut impl BufRead) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size =
            u64::from_str_radix(size, 16).with_context(|| format!("chunk size {size:?} is no number"))?;
        if size == 0 {
            while !read_line(stream)?.is_empty() {}
            return Ok(body);
        }
        let copied = stream.by_ref().take(size).read_to_end(&mut body)?;
        ensure!(u64::try_from(copied)? == size, "the body ended inside a chunk");
        read_line(stream)?;
    }
}

/// Reads one line without its end.
pub(crate) fn read_line(stream: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = Vec::new();
    let read = stream
        .take(64 * 1024)
        .read_until(b'\n', &mut line)
        .context("cannot read")?;
    if read == 0 {
        bail!("the connection was closed");
    }
    let line = String::from_utf8_lossy(&line);
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_answer(wire: &str, status: u16, body: &str) {
        let mut stream = wire.as_bytes();
        let head = read_head(&mut stream).unwrap();
        assert_eq!(head.status, status);
        assert_eq!(
            String::from_utf8(read_body(&mut stream, &head).unwrap()).unwrap(),
            body
        );
    }

    #[test]
    fn bodies_end_by_length_by_the_last_chunk_or_by_the_end_of_the_connection() {
        check_answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", 200, "abc");
        check_answer(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1;x\r\nd\r\n0\r\n\r\n",
            200,
            "abcd",
        );
        check_answer("HTTP/1.0 500\r\n\r\nto the end", 500, "to the end");
    }

    #[test]
    fn a_cut_off_chunk_is_an_error() {
        assert!(read_chunks(&mut "5\r\nab".as_bytes()).is_err());
    }

    #[test]
    fn host_and_content_length_are_added_when_the_request_has_none() {
        let request = Request {
            method: "POST".into(),
            path: "/p".into(),
            body: "hi".into(),
            ..Request::default()
        };
        let wire = String::from_utf8(encode(&request, "h:1")).unwrap();
        assert_eq!(
            wire,
            "POST /p HTTP/1.1\r\nhost: h:1\r\ncontent-length: 2\r\n\r\nhi"
        );
    }
}

//! The backend of the demo and of the instruction counts: answers every request with what it saw of it.
//!
//! It must stay deterministic: the same request gives the same bytes, so it sends no date.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, ensure};

use crate::client::{read_chunks, read_line};
use crate::service::busy;

/// Starts a backend on threads of their own, which live until the process ends. Returns its address, which
/// differs from `address` for port 0.
pub(crate) fn start(name: &str, address: SocketAddr) -> anyhow::Result<SocketAddr> {
    let listener =
        TcpListener::bind(address).with_context(|| busy(address, &format!("the echo backend {name}")))?;
    let address = listener.local_addr()?;
    let name = name.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            let name = name.clone();
            // A client that leaves in the middle ends its own thread and nothing else.
            std::thread::spawn(move || serve(&name, stream));
        }
    });
    Ok(address)
}

/// What is needed to answer a request.
struct Seen {
    method: String,
    path: String,
    headers: Vec<String>,
    body: Vec<u8>,
    last: bool,
}

fn serve(name: &str, stream: TcpStream) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while !reader.fill_buf()?.is_empty() {
        let seen = read(&mut reader)?;
        reader.get_mut().write_all(&answer(name, &seen))?;
        if seen.last {
            break;
        }
    }
    Ok(())
}

fn read(reader: &mut BufReader<TcpStream>) -> anyhow::Result<Seen> {
    let first = read_line(reader)?;
    let mut words = first.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let path = words.next().unwrap_or_default().to_owned();
    ensure!(
        words.next().is_some_and(|version| version.starts_with("HTTP/1.")),
        "not HTTP/1: {first:?}"
    );
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        headers.push(line);
    }
    if field(&headers, "expect").is_some() {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let body = read_body(reader, &headers)?;
    let last = field(&headers, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok(Seen {
        method,
        path,
        headers,
        body,
        last,
    })
}

fn read_body(reader: &mut BufReader<TcpStream>, headers: &[String]) -> anyhow::Result<Vec<u8>> {
    if field(headers, "transfer-encoding").is_some() {
        return read_chunks(reader);
    }
    let mut body = Vec::new();
    if let Some(length) = field(headers, "content-length") {
        reader.by_ref().take(length.parse()?).read_to_end(&mut body)?;
    }
    Ok(body)
}

fn answer(name: &str, seen: &Seen) -> Vec<u8> {
    let mut body = format!("backend {name}\n{} {}\n", seen.method, seen.path).into_bytes();
    for header in &seen.headers {
        body.extend_from_slice(header.as_bytes());
        body.push(b'\n');
    }
    if !seen.body.is_empty() {
        body.push(b'\n');
        body.extend_from_slice(&seen.body);
    }
    let connection = if seen.last { "connection: close\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-backend: {name}\r\n{connection}content-length: {}\r\n\r\n",
        body.len()
    );
    let mut wire = head.into_bytes();
    if seen.method != "HEAD" {
        wire.extend_from_slice(&body);
    }
    wire
}

fn field<'a>(headers: &'a [String], name: &str) -> Option<&'a str> {
    headers.iter().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Connection, Request};

    fn request(method: &str, path: &str, body: &str) -> Request {
        Request {
            method: method.into(),
            path: path.into(),
            body: body.into(),
            ..Request::default()
        }
    }

    #[test]
    fn one_connection_carries_several_requests_each_answered_with_what_was_seen() {
        let address = start("one", ([127, 0, 0, 1], 0).into()).unwrap();
        let mut connection = Connection::open(address).unwrap();
        let first = connection.exchange(&request("POST", "/a?b=c", "a body")).unwrap();
        assert_eq!(first.header("x-backend").collect::<Vec<_>>(), ["one"]);
        let text = String::from_utf8(first.body).unwrap();
        assert!(text.starts_with("backend one\nPOST /a?b=c\nhost: "), "{text}");
        assert!(text.ends_with("\n\na body"), "{text}");
        assert!(
            connection
                .exchange(&request("HEAD", "/", ""))
                .unwrap()
                .body
                .is_empty()
        );
        assert_eq!(connection.exchange(&request("GET", "/", "")).unwrap().status, 200);
    }

    #[test]
    fn a_busy_port_is_an_error_that_says_what_to_do() {
        let address = start("one", ([127, 0, 0, 1], 0).into()).unwrap();
        let error = start("two", address).unwrap_err().to_string();
        assert!(
            error.contains("echo backend two") && error.contains("ss -ltnp"),
            "{error}"
        );
    }
}

//! One HTTP/1 message as it was on the wire.

use std::io::{self, BufRead};

/// A request or response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The request or status line.
    pub line: String,
    /// Fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decoded.
    pub body: Vec<u8>,
    /// Trailer fields in order.
    pub trailers: Vec<(String, String)>,
}

impl Message {
    /// The first field of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The status of a response; 0 for a request.
    pub fn status(&self) -> u16 {
        let is_response = self.line.starts_with("HTTP/");
        self.line
            .split(' ')
            .nth(1)
            .filter(|_| is_response)
            .and_then(|it| it.parse().ok())
            .unwrap_or(0)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads one message. `bodiless` is true for the response to a HEAD request.
///
/// # Errors
/// When the other side breaks off; `UnexpectedEof` before the first byte means that it closed in order.
pub fn read_message(from: &mut impl BufRead, bodiless: bool) -> io::Result<Message> {
    let mut message = Message {
        line: read_line(from)?,
        ..Message::default()
    };
    message.headers = read_fields(from)?;
    let status = message.status();
    if bodiless || matches!(status, 100..=199 | 204 | 304) {
        return Ok(message);
    }
    if message.header("transfer-encoding").is_some() {
        loop {
            let size = read_line(from)?;
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
                .map_err(|_| io::Error::other(format!("bad chunk size {size:?}")))?;
            if size == 0 {
                message.trailers = read_fields(from)?;
                return Ok(message);
            }
            let start = message.body.len();
            message.body.resize(start + size, 0);
            from.read_exact(&mut message.body[start..])?;
            read_line(from)?;
        }
    }
    match message.header("content-length").map(str::parse) {
        Some(Ok(length)) => {
            message.body.resize(length, 0);
            from.read_exact(&mut message.body)?;
        }
        Some(Err(_)) => return Err(io::Error::other("bad content-length")),
        None if status != 0 => drop(from.read_to_end(&mut message.body)?),
        None => {}
    }
    Ok(message)
}

fn read_fields(from: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = read_line(from)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| io::Error::other(format!("bad field {line:?}")))?;
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

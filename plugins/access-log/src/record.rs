//! Writes one record of an exchange. Pure: what is known about the exchange comes from a [`Source`].

use std::io::Write;

use weir_sdk::{Attribute, Value};

use crate::flag;
use crate::operator::{Header, Operator};
use crate::template::{Piece, Template};

/// Answers what operators ask. Natively a test plays it.
pub(crate) trait Source {
    fn request_header(&self, name: &str) -> Option<Vec<u8>>;
    fn response_header(&self, name: &str) -> Option<Vec<u8>>;
    fn status(&self) -> u16;
    fn shared(&self, namespace: &str, key: &str) -> Option<Vec<u8>>;
    fn attribute(&self, attribute: Attribute) -> Option<Value>;
}

/// What an operator says about one exchange.
pub(crate) enum Reading {
    Missing,
    Number(u64),
    Text(Vec<u8>),
}

impl Template {
    /// Appends the text of this template; what is missing becomes `-`.
    pub(crate) fn write(&self, source: &impl Source, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Operator(operator) => match operator.read(source) {
                    Reading::Missing => out.push(b'-'),
                    Reading::Number(number) => write_number(number, out),
                    Reading::Text(text) => out.extend_from_slice(&text),
                },
            }
        }
    }
}

impl Operator {
    /// Asks the exchange.
    pub(crate) fn read(&self, source: &impl Source) -> Reading {
        match self {
            Self::Request(header) => header.read(|name| source.request_header(name)),
            Self::Response(header) => header.read(|name| source.response_header(name)),
            Self::Shared {
                namespace,
                key,
                limit,
            } => text(source.shared(namespace, key), *limit),
            Self::ResponseCode => Reading::Number(source.status().into()),
            Self::ResponseCodeDetails => details(source),
            Self::ResponseFlags => {
                let reason = attribute_text(source, Attribute::Reason).unwrap_or_default();
                Reading::Text(flag::of(&reason).into())
            }
            Self::StartTime(format) => match source.attribute(Attribute::StartTime) {
                Some(Value::Time(nanoseconds)) => {
                    let mut text = Vec::new();
                    format.write(nanoseconds, &mut text);
                    Reading::Text(text)
                }
                _ => Reading::Missing,
            },
            Self::Plain(attribute) => match source.attribute(*attribute) {
                Some(Value::Text(text)) => Reading::Text(text.into_bytes()),
                Some(Value::Int(number) | Value::Time(number)) => Reading::Number(number),
                None => Reading::Missing,
            },
            Self::Milliseconds(attribute) => match source.attribute(*attribute) {
                Some(Value::Int(nanoseconds)) => Reading::Number(nanoseconds / 1_000_000),
                _ => Reading::Missing,
            },
            Self::Address(attribute) => {
                let address = attribute_text(source, *attribute);
                text(
                    address.map(|address| without_port(&address).as_bytes().to_vec()),
                    None,
                )
            }
        }
    }
}

impl Header {
    fn read(&self, header: impl Fn(&str) -> Option<Vec<u8>>) -> Reading {
        let value = header(&self.name).or_else(|| self.alternative.as_deref().and_then(&header));
        text(value, self.limit)
    }
}

/// Why the response is what it is: the gateway's reason with its details, or that the upstream answered.
fn details(source: &impl Source) -> Reading {
    let Some(reason) = attribute_text(source, Attribute::Reason) else {
        let answered = (source.status() != 0).then(|| b"via_upstream".to_vec());
        return text(answered, None);
    };
    let mut text = reason;
    if let Some(detail) = attribute_text(source, Attribute::ReasonDetail) {
        text.push('{');
        // One word, so that text records keep their columns.
        text.extend(detail.chars().map(|c| {
            if c.is_whitespace() || c.is_control() {
                '_'
            } else {
                c
            }
        }));
        text.push('}');
    }
    Reading::Text(text.into_bytes())
}

fn attribute_text(source: &impl Source, attribute: Attribute) -> Option<String> {
    match source.attribute(attribute) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn text(value: Option<Vec<u8>>, limit: Option<usize>) -> Reading {
    value.map_or(Reading::Missing, |mut value| {
        value.truncate(limit.unwrap_or(usize::MAX));
        Reading::Text(value)
    })
}

fn without_port(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// Appends a number in decimal.
pub(crate) fn write_number(number: u64, out: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    let _ = write!(out, "{number}");
}

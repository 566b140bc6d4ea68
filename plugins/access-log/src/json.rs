//! JSON records: an object whose string leaves are format strings.

use serde_json::{Map, Value};

use crate::operator::Operator;
use crate::record::{Reading, Source, write_number};
use crate::template::{Piece, Template};

/// A compiled JSON form.
#[derive(Debug)]
pub(crate) enum Node {
    /// Names come quoted.
    Object(Vec<(String, Self)>),
    Array(Vec<Self>),
    /// A leaf that is no string, as it is written.
    Fixed(String),
    /// A leaf that is exactly one operator: keeps its type.
    Typed(Operator),
    /// Any other string.
    Text(Template),
}

impl Node {
    /// Compiles the fields of an object.
    pub(crate) fn object(fields: &Map<String, Value>) -> Result<Self, String> {
        let field = |(name, value): (&String, &Value)| {
            let node = Self::parse(value).map_err(|error| format!("{name}: {error}"))?;
            Ok((Value::from(name.as_str()).to_string(), node))
        };
        Ok(Self::Object(
            fields.iter().map(field).collect::<Result<_, String>>()?,
        ))
    }

    fn parse(value: &Value) -> Result<Self, String> {
        Ok(match value {
            Value::Object(fields) => Self::object(fields)?,
            Value::Array(items) => Self::Array(items.iter().map(Self::parse).collect::<Result<_, _>>()?),
            Value::String(format) => {
                let mut template = Template::parse(format)?;
                match (template.pieces.pop(), template.pieces.is_empty()) {
                    (Some(Piece::Operator(operator)), true) => Self::Typed(operator),
                    (last, _) => {
                        template.pieces.extend(last);
                        Self::Text(template)
                    }
                }
            }
            other => Self::Fixed(other.to_string()),
        })
    }

    /// Appends the record of an exchange.
    pub(crate) fn write(&self, source: &impl Source, out: &mut Vec<u8>) {
        match self {
            Self::Object(fields) => {
                out.push(b'{');
                for (at, (name, node)) in fields.iter().enumerate() {
                    separate(at, out);
                    out.extend_from_slice(name.as_bytes());
                    out.push(b':');
                    node.write(source, out);
                }
                out.push(b'}');
            }
            Self::Array(items) => {
                out.push(b'[');
                for (at, node) in items.iter().enumerate() {
                    separate(at, out);
                    node.write(source, out);
                }
                out.push(b']');
            }
            Self::Fixed(text) => out.extend_from_slice(text.as_bytes()),
            Self::Typed(operator) => match operator.read(source) {
                Reading::Missing => out.extend_from_slice(b"null"),
                Reading::Number(number) => write_number(number, out),
                Reading::Text(text) => write_string(&text, out),
            },
            Self::Text(template) => {
                let mut text = Vec::new();
                template.write(source, &mut text);
                write_string(&text, out);
            }
        }
    }
}

fn separate(at: usize, out: &mut Vec<u8>) {
    if at > 0 {
        out.push(b',');
    }
}

/// Appends a JSON string; bytes that are not UTF-8 become `U+FFFD`.
fn write_string(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        for &byte in chunk.valid().as_bytes() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..0x20 | 0x7f => {
                    let digit = |at: u8| HEX.get(usize::from(at)).copied().unwrap_or(b'0');
                    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
                }
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

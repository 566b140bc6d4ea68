//! Command operators: what can stand between two `%` of a format string.

use weir_sdk::Attribute;

use crate::time::TimeFormat;

/// Something that a record can tell about an exchange.
#[derive(Debug, PartialEq)]
pub(crate) enum Operator {
    /// The first of two request headers that is there.
    Request(Header),
    /// The first of two response headers that is there.
    Response(Header),
    /// A value that a filter shared.
    Shared {
        namespace: String,
        key: String,
        limit: Option<usize>,
    },
    /// When the request head was read.
    StartTime(TimeFormat),
    /// The status; 0 without a response.
    ResponseCode,
    /// Why the response is what it is.
    ResponseCodeDetails,
    /// Short flags for what went wrong.
    ResponseFlags,
    /// A text or a number of the host.
    Plain(Attribute),
    /// A time of the host, in milliseconds.
    Milliseconds(Attribute),
    /// An address of the host, without its port.
    Address(Attribute),
}

/// A header, another one to take when it is absent, and how much of the value to show.
#[derive(Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) alternative: Option<String>,
    pub(crate) limit: Option<usize>,
}

impl Operator {
    /// An operator by its name, what stands in parentheses, and the length after a colon.
    pub(crate) fn new(name: &str, argument: Option<&str>, limit: Option<usize>) -> Result<Self, String> {
        match (name, argument) {
            ("REQ", Some(argument)) => return Ok(Self::Request(Header::new(name, argument, limit)?)),
            ("RESP", Some(argument)) => return Ok(Self::Response(Header::new(name, argument, limit)?)),
            ("DYNAMIC_METADATA", Some(argument)) => return shared(argument, limit),
            ("REQ" | "RESP" | "DYNAMIC_METADATA", None) => {
                return Err(format!("%{name}% needs an argument in parentheses"));
            }
            (_, _) if limit.is_some() => return Err(format!("%{name}% takes no length")),
            ("START_TIME", argument) => return Ok(Self::StartTime(TimeFormat::parse(argument)?)),
            _ => {}
        }
        let operator = Self::without_argument(name).ok_or_else(|| format!("unknown operator %{name}%"))?;
        match argument {
            Some(_) => Err(format!("%{name}% takes no argument")),
            None => Ok(operator),
        }
    }

    fn without_argument(name: &str) -> Option<Self> {
        Some(match name {
            "RESPONSE_CODE" => Self::ResponseCode,
            "RESPONSE_CODE_DETAILS" => Self::ResponseCodeDetails,
            "RESPONSE_FLAGS" => Self::ResponseFlags,
            "PROTOCOL" => Self::Plain(Attribute::Protocol),
            "BYTES_RECEIVED" => Self::Plain(Attribute::BytesReceived),
            "BYTES_SENT" => Self::Plain(Attribute::BytesSent),
            "DURATION" => Self::Milliseconds(Attribute::Duration),
            "RESPONSE_DURATION" => Self::Milliseconds(Attribute::ResponseDuration),
            "UPSTREAM_HOST" => Self::Plain(Attribute::UpstreamHost),
            "UPSTREAM_CLUSTER" => Self::Plain(Attribute::UpstreamCluster),
            "UPSTREAM_LOCAL_ADDRESS" => Self::Plain(Attribute::UpstreamLocalAddress),
            "DOWNSTREAM_REMOTE_ADDRESS" => Self::Plain(Attribute::DownstreamRemoteAddress),
            "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => Self::Address(Attribute::DownstreamRemoteAddress),
            "DOWNSTREAM_LOCAL_ADDRESS" => Self::Plain(Attribute::DownstreamLocalAddress),
            "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => Self::Address(Attribute::DownstreamLocalAddress),
            "DOWNSTREAM_CONNECTION_ID" => Self::Plain(Attribute::DownstreamConnectionId),
            "ROUTE_NAME" => Self::Plain(Attribute::Route),
            _ => return None,
        })
    }
}

impl Header {
    fn new(operator: &str, argument: &str, limit: Option<usize>) -> Result<Self, String> {
        let (name, alternative) = argument
            .split_once('?')
            .map_or((argument, None), |(n, a)| (n, Some(a)));
        let is_name =
            |name: &str| !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '?');
        if !is_name(name) || !alternative.is_none_or(is_name) {
            return Err(format!(
                "%{operator}({argument})%: write HEADER or HEADER?ALTERNATIVE"
            ));
        }
        Ok(Self {
            name: name.to_ascii_lowercase(),
            alternative: alternative.map(str::to_ascii_lowercase),
            limit,
        })
    }
}

fn shared(argument: &str, limit: Option<usize>) -> Result<Operator, String> {
    match argument.split_once(':') {
        Some((namespace, key)) if !namespace.is_empty() && !key.is_empty() && !key.contains(':') => {
            Ok(Operator::Shared {
                namespace: namespace.to_owned(),
                key: key.to_owned(),
                limit,
            })
        }
        _ => Err(format!("%DYNAMIC_METADATA({argument})%: write NAMESPACE:KEY")),
    }
}

//! Calls the host functions that need no grant and puts what they say into headers.
//!
//! The configuration is a list of probes. Each word runs in both head phases and sets `x-probe-<word>` on the
//! message of that phase; `edit-…` words change the message instead. The field looked at is `x-in`.

use weir_sdk::{Attribute, Exchange, Field, HeadAction, Phases, Policy, Value};

struct Probe {
    words: Vec<String>,
}

impl Policy for Probe {
    fn configure(config: &[u8]) -> Result<Self, String> {
        Ok(Self {
            words: weir_test_guests::words(config),
        })
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD | Phases::RESPONSE_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        for word in &self.words {
            if let Some(answer) = request(word, exchange).or_else(|| common(word, exchange)) {
                exchange.request.set_header(&format!("x-probe-{word}"), answer);
            }
        }
        HeadAction::Next
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        for word in &self.words {
            if let Some(answer) = response(word, exchange).or_else(|| common(word, exchange)) {
                exchange.response.set_header(&format!("x-probe-{word}"), answer);
            }
        }
        HeadAction::Next
    }
}

fn request(word: &str, exchange: &mut Exchange) -> Option<Vec<u8>> {
    let message = &mut exchange.request;
    Some(match word {
        "method" => message.method().into_bytes(),
        "scheme" => message.scheme().into_bytes(),
        "authority" => message.authority().into_bytes(),
        "path" => message.path().into_bytes(),
        "path-starts-with" => message.path_starts_with("/api").to_string().into_bytes(),
        "header" => message.header("x-in").unwrap_or_else(|| b"(none)".to_vec()),
        "header-values" => message.header_values("x-in").join(&b'|'),
        "has-header" => message.has_header("x-in").to_string().into_bytes(),
        "header-is" => message.header_is("x-in", "yes").to_string().into_bytes(),
        "headers" => listing(&message.headers()),
        "edit-method" => return edit(|| message.set_method("PATCH")),
        "edit-authority" => return edit(|| message.set_authority("edited.example")),
        "edit-path" => return edit(|| message.set_path("/edited?by=probe")),
        "edit-pseudo" => {
            return edit(|| {
                message.set_header(":path", "/pseudo");
                message.set_header(":method", "PUT");
                message.set_header(":authority", "pseudo.example");
            });
        }
        "edit-append" => return edit(|| message.append_header("x-in", "appended")),
        "edit-remove" => return edit(|| message.remove_header("x-in")),
        "edit-several" => return edit(|| message.set_headers(&several())),
        "edit-invalid" => return edit(|| message.set_header("x-bad", "line\nbreak")),
        _ => return None,
    })
}

fn response(word: &str, exchange: &mut Exchange) -> Option<Vec<u8>> {
    let message = &mut exchange.response;
    Some(match word {
        "status" => message.status().to_string().into_bytes(),
        "header" => message.header("x-in").unwrap_or_else(|| b"(none)".to_vec()),
        "header-values" => message.header_values("x-in").join(&b'|'),
        "has-header" => message.has_header("x-in").to_string().into_bytes(),
        "header-is" => message.header_is("x-in", "yes").to_string().into_bytes(),
        "headers" => listing(&message.headers()),
        "edit-status" => return edit(|| message.set_status(207)),
        "edit-pseudo" => return edit(|| message.set_header(":status", "208")),
        "edit-append" => return edit(|| message.append_header("x-in", "appended")),
        "edit-remove" => return edit(|| message.remove_header("x-in")),
        "edit-several" => return edit(|| message.set_headers(&several())),
        "edit-invalid" => return edit(|| message.set_header("x-bad", "line\nbreak")),
        _ => return None,
    })
}

/// Attributes by their name, and shared values.
fn common(word: &str, exchange: &mut Exchange) -> Option<Vec<u8>> {
    let attribute = match word {
        "share" => {
            exchange.set_shared("probe", "key", "shared");
            return None;
        }
        "shared" => return exchange.shared("probe", "key"),
        "downstream-remote-address" => Attribute::DownstreamRemoteAddress,
        "downstream-local-address" => Attribute::DownstreamLocalAddress,
        "downstream-connection-id" => Attribute::DownstreamConnectionId,
        "protocol" => Attribute::Protocol,
        "start-time" => Attribute::StartTime,
        "duration" => Attribute::Duration,
        "response-duration" => Attribute::ResponseDuration,
        "bytes-received" => Attribute::BytesReceived,
        "bytes-sent" => Attribute::BytesSent,
        "listener" => Attribute::Listener,
        "route" => Attribute::Route,
        "upstream-cluster" => Attribute::UpstreamCluster,
        "upstream-host" => Attribute::UpstreamHost,
        "upstream-local-address" => Attribute::UpstreamLocalAddress,
        "reason" => Attribute::Reason,
        "reason-detail" => Attribute::ReasonDetail,
        _ => return None,
    };
    Some(match exchange.attribute(attribute) {
        Some(Value::Text(text)) => text.into_bytes(),
        Some(Value::Int(number)) => number.to_string().into_bytes(),
        Some(Value::Time(nanoseconds)) => format!("time {nanoseconds}").into_bytes(),
        None => b"(none)".to_vec(),
    })
}

fn edit(change: impl FnOnce()) -> Option<Vec<u8>> {
    change();
    None
}

fn several() -> [Field; 2] {
    [("x-first", "1"), ("x-second", "2")].map(|(name, value)| Field {
        name: name.to_owned(),
        value: value.as_bytes().to_vec(),
    })
}

fn listing(fields: &[Field]) -> Vec<u8> {
    let line = |field: &Field| format!("{}={}", field.name, String::from_utf8_lossy(&field.value));
    fields.iter().map(line).collect::<Vec<_>>().join(";").into_bytes()
}

weir_sdk::policy!(Probe);

//! What must hold of every message that a filter had in its hands.

use http::HeaderMap;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery};
use weir_filter::ExchangeState;

/// Fields that belong to the gateway or to one connection.
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fails when a message could not be written as it is, or says something about its own framing.
///
/// # Panics
/// Then.
pub fn check_fields(fields: &HeaderMap) {
    for (name, value) in fields {
        assert!(!FRAMING.contains(&name.as_str()), "{name}: {value:?}");
        let bytes = value.as_bytes();
        assert!(
            !bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
            "{name}: {value:?}"
        );
    }
}

/// Fails when the request or response could not be sent, or more is kept than `memory` for each of `calls`.
///
/// # Panics
/// Then.
pub fn check_exchange(exchange: &ExchangeState, memory: usize, calls: usize) {
    let request = &exchange.request;
    let path = request.path_and_query();
    assert!(path.starts_with('/'), "{path}");
    assert!(
        path.parse::<PathAndQuery>().is_ok_and(|it| it.as_str() == path),
        "{path}"
    );
    assert!(request.uri.scheme().is_none() && request.uri.authority().is_none());
    assert_ne!(request.method, http::Method::CONNECT);
    let hosts: Vec<_> = request.headers.get_all(HOST).iter().collect();
    assert_eq!(hosts.len(), 1, "{hosts:?}");
    assert!(request.authority().parse::<Authority>().is_ok(), "{hosts:?}");
    for fields in [
        &request.headers,
        &exchange.response.headers,
        &exchange.request_trailers,
        &exchange.response_trailers,
    ] {
        check_fields(fields);
        let size: usize = fields
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        assert!(size <= memory * calls, "{size} bytes of fields");
    }
    if let Some(status) = exchange.response.status {
        assert!((200..1000).contains(&status.as_u16()), "{status}");
    }
    // What a filter's notes may be after a call, plus what a reload could not know.
    assert!(
        exchange.notes_size() <= memory,
        "{} bytes of notes",
        exchange.notes_size()
    );
    assert!(
        exchange.shared_size() <= memory + (1 << 20),
        "{} bytes shared",
        exchange.shared_size()
    );
}

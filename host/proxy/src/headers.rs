//! What a gateway must do to a message head before passing it on (RFC 9110 §7.6, RFC 9112 §3, §6).
//!
//! hyper parses; this file refuses or rewrites what hyper lets through and a proxy must not forward.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Uri, Version, request};
use weir_filter::Reason;

/// Why a request is refused, and a sentence for the log.
pub(crate) type Refusal = (Reason, &'static str);

/// Makes a request head safe to route: one valid host, origin form, no hop-by-hop fields.
///
/// # Errors
/// The reason and a sentence when the request cannot be forwarded at all.
pub(crate) fn admit(head: &mut request::Parts) -> Result<(), Refusal> {
    if head.method == Method::CONNECT {
        return Err((Reason::Unsupported, "CONNECT is not supported"));
    }
    let seen = Seen::of(&head.headers);
    settle_host(head, &seen)?;
    settle_path(head)?;
    if seen.codings > 0 {
        settle_transfer_encoding(&head.headers)?;
    }
    if seen.hop_by_hop {
        remove_hop_by_hop(&mut head.headers);
    }
    if seen.expects {
        // hyper answers `100 Continue` itself when the body is first read.
        head.headers.remove(header::EXPECT);
    }
    Ok(())
}

/// Which fields a request has that need a closer look: one walk over all costs less than a search for each.
#[derive(Default)]
struct Seen {
    hosts: usize,
    /// One of them at least is.
    host_is_malformed: bool,
    codings: usize,
    /// Some that belong to one connection.
    hop_by_hop: bool,
    expects: bool,
}

impl Seen {
    fn of(headers: &HeaderMap) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers {
            if *name == header::HOST {
                seen.hosts += 1;
                seen.host_is_malformed |= !valid_host(value.as_bytes());
            } else if *name == header::TRANSFER_ENCODING {
                seen.codings += 1;
                seen.hop_by_hop = true;
            } else if *name == header::CONNECTION || HOP_BY_HOP.contains(name) {
                seen.hop_by_hop = true;
            } else if *name == header::EXPECT {
                seen.expects = true;
            }
        }
        seen
    }
}

/// The request's host for matching: without port, lower-case.
pub(crate) fn host(headers: &HeaderMap) -> std::borrow::Cow<'_, str> {
    let host = headers.get(header::HOST).map_or(&[][..], HeaderValue::as_bytes);
    let host = std::str::from_utf8(host).unwrap_or_default();
    let end = match host.rfind(':') {
        // A colon inside the brackets of an IPv6 address is no port.
        Some(at) if !host.get(at..).unwrap_or_default().contains(']') => at,
        _ => host.len(),
    };
    let name = host.get(..end).unwrap_or_default();
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    }
}

/// The client's address as a field value.
pub(crate) fn client_value(client: IpAddr) -> HeaderValue {
    HeaderValue::try_from(client.to_canonical().to_string())
        .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// Removes the fields that belong to one connection, those that `connection` names included.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        remove_nominated(headers);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Removes what may not stand after a body (RFC 9110 §6.5.1): fields for framing, routing, authentication, and for
/// how the content is to be read. An endpoint that merges trailers into the head would be misled by them.
pub(crate) fn settle_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    for name in [
        &header::CONTENT_LENGTH,
        &header::TRAILER,
        &header::HOST,
        &header::AUTHORIZATION,
        &header::PROXY_AUTHORIZATION,
        &header::COOKIE,
        &header::SET_COOKIE,
        &header::CACHE_CONTROL,
        &header::EXPECT,
        &header::MAX_FORWARDS,
        &header::RANGE,
        &header::CONTENT_ENCODING,
        &header::CONTENT_TYPE,
        &header::CONTENT_RANGE,
        &X_FORWARDED_FOR,
        &X_FORWARDED_PROTO,
    ] {
        trailers.remove(name);
    }
}

fn remove_nominated(headers: &mut HeaderMap) {
    // All fields of the name: `remove` alone would give the first and drop the others unread.
    let nominations: Vec<HeaderValue> = headers.get_all(header::CONNECTION).iter().cloned().collect();
    headers.remove(header::CONNECTION);
    let names = nominations
        .iter()
        .flat_map(|it| it.as_bytes().split(|b| *b == b','));
    for name in names.map(<[u8]>::trim_ascii) {
        // A client must not talk us out of fields that the gateway itself relies on.
        if let Ok(name) = HeaderName::from_bytes(name)
            && ![
                header::HOST,
                header::CONTENT_LENGTH,
                X_FORWARDED_FOR,
                X_FORWARDED_PROTO,
            ]
            .contains(&name)
        {
            headers.remove(name);
        }
    }
}

/// There must be exactly one valid `host` (RFC 9112 §3.2), whatever form the target has: who is before us may have
/// read that field. Then an absolute-form target overrules it (§3.2.2).
fn settle_host(head: &mut request::Parts, seen: &Seen) -> Result<(), Refusal> {
    match seen.hosts {
        0 if head.version == Version::HTTP_10 => {
            // Upstream it becomes an HTTP/1.1 request, which has the field even when it is empty (§3.2).
            head.headers.insert(header::HOST, HeaderValue::from_static(""));
        }
        0 => return Err((Reason::BadRequest, "the Host header is missing")),
        1 if seen.host_is_malformed => return Err(MALFORMED_HOST),
        1 => {}
        _ => return Err((Reason::BadRequest, "more than one Host header")),
    }
    settle_authority(head)
}

/// Makes an absolute-form target origin form; its authority becomes the host.
fn settle_authority(head: &mut request::Parts) -> Result<(), Refusal> {
    let Some(authority) = head.uri.authority() else {
        return Ok(());
    };
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    if !valid_host(host.as_bytes()) {
        return Err(MALFORMED_HOST);
    }
    let host = HeaderValue::try_from(host).map_err(|_| MALFORMED_TARGET)?;
    head.headers.insert(header::HOST, host);
    let path = head.uri.path_and_query().cloned();
    head.uri = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    Ok(())
}

const MALFORMED_TARGET: Refusal = (Reason::BadRequest, "malformed request target");
const MALFORMED_HOST: Refusal = (Reason::BadRequest, "the Host header is malformed");

/// Removes dot segments (RFC 3986 §5.2.4), written out or percent-encoded: `/public/../admin` must not pass
/// the policies of `/public` and reach `/admin`.
fn settle_path(head: &mut request::Parts) -> Result<(), Refusal> {
    let path = head.uri.path();
    let suspicious = path.contains("/.")
        || path
            .as_bytes()
            .windows(3)
            .any(|it| it.eq_ignore_ascii_case(b"%2e"));
    if !suspicious {
        return Ok(());
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        let is_last = segments.peek().is_none();
        match plain.as_str() {
            "." => {}
            ".." => drop(kept.pop()),
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    let query = head.uri.query().map(|it| format!("?{it}")).unwrap_or_default();
    let settled = format!("/{}{query}", kept.join("/"));
    head.uri = settled.parse().map_err(|_| MALFORMED_TARGET)?;
    Ok(())
}

fn valid_host(host: &[u8]) -> bool {
    host.iter()
        .all(|b| b.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+,;=".contains(b))
}

/// hyper decodes any coding list that ends in `chunked` as chunked; what stands before it would reach the
/// upstream undecoded and unannounced.
fn settle_transfer_encoding(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err((
            Reason::Unsupported,
            "only the transfer coding `chunked` is supported",
        )),
    }
}

/// Clients of the proxies before us, and of us.
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How the client reached us.
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Fields that belong to one connection, beside `connection` itself and what it names.
static HOP_BY_HOP: [HeaderName; 5] = [
    KEEP_ALIVE,
    PROXY_CONNECTION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn admitted(request: request::Builder) -> Result<request::Parts, Reason> {
        let mut head = request.body(()).unwrap().into_parts().0;
        admit(&mut head).map(|()| head).map_err(|(reason, _)| reason)
    }

    #[test]
    fn a_request_needs_exactly_one_valid_host() {
        let check = |hosts: &[&str], expect: Result<(), Reason>| {
            for target in ["/", "http://real.example/"] {
                let request = hosts.iter().fold(Request::get(target), |request, host| {
                    request.header("host", *host)
                });
                assert_eq!(admitted(request).map(|_| ()), expect, "{target} {hosts:?}");
            }
        };
        check(&["a.example"], Ok(()));
        check(&["[::1]:80"], Ok(()));
        check(&[], Err(Reason::BadRequest));
        check(&["a", "a"], Err(Reason::BadRequest));
        check(&["a/b", "a"], Err(Reason::BadRequest));
        check(&["a/b"], Err(Reason::BadRequest));
        check(&["a b"], Err(Reason::BadRequest));
    }

    #[test]
    fn an_old_request_may_lack_the_host_and_gets_that_of_its_target() {
        let check = |target: &str, expect: &str| {
            let head = admitted(Request::get(target).version(Version::HTTP_10)).unwrap();
            assert_eq!(head.headers["host"], expect, "{target}");
        };
        check("/", "");
        check("http://real.example/", "real.example");
    }

    #[test]
    fn an_absolute_target_overrules_the_host_and_becomes_origin_form() {
        let head =
            admitted(Request::get("http://real.example:81/x?y").header("host", "fake.example")).unwrap();
        assert_eq!(head.uri, "/x?y");
        assert_eq!(head.headers["host"], "real.example:81");
    }

    #[test]
    fn dot_segments_go_before_anything_is_matched() {
        let check = |path: &str, expect: &str| {
            let head = admitted(Request::get(path).header("host", "a")).unwrap();
            assert_eq!(head.uri, expect, "{path}");
        };
        check("/public/../admin", "/admin");
        check("/public/%2E%2e/admin?x=/../y", "/admin?x=/../y");
        check("/a/./b/.", "/a/b/");
        check("/../../a", "/a");
        check("/a/..", "/");
        check("/.well-known/x", "/.well-known/x");
        check("/a/...", "/a/...");
        check("/a//b", "/a//b");
    }

    #[test]
    fn every_line_of_connection_counts() {
        let request = Request::get("/")
            .header("host", "a")
            .header("x-one", "1")
            .header("x-two", "2");
        let head = admitted(
            request
                .header("connection", "x-one")
                .header("connection", "x-two"),
        )
        .unwrap();
        assert_eq!(head.headers.len(), 1, "{:?}", head.headers);
    }

    #[test]
    fn only_plain_chunked_is_accepted() {
        let check = |coding: &str, expect: Result<(), Reason>| {
            let request = Request::post("/")
                .header("host", "a")
                .header("transfer-encoding", coding);
            assert_eq!(admitted(request).map(|_| ()), expect, "{coding}");
        };
        check("chunked", Ok(()));
        check(" Chunked ", Ok(()));
        check("gzip, chunked", Err(Reason::Unsupported));
        check("identity", Err(Reason::Unsupported));
    }

    #[test]
    fn connection_nominated_fields_go_but_not_those_we_rely_on() {
        let request = Request::get("/")
            .header("host", "a")
            .header("x-secret", "1")
            .header("te", "trailers");
        let head = admitted(
            request
                .header("connection", "close, X-Secret, host")
                .header("keep-alive", "1"),
        )
        .unwrap();
        assert_eq!(head.headers.len(), 1, "{:?}", head.headers);
        assert_eq!(head.headers["host"], "a");
    }

    #[test]
    fn the_host_to_match_has_no_port_and_no_capitals() {
        let check = |value: &'static str, expect: &str| {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(value))]);
            assert_eq!(host(&headers), expect);
        };
        check("A.Example:8080", "a.example");
        check("a.example", "a.example");
        check("[::1]:80", "[::1]");
        check("[::1]", "[::1]");
    }
}

//! From a filter's request to one that can be sent.

use std::rc::Rc;

use http::header;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Method};
use weir_filter::{CalloutError, CalloutRequest};

use crate::headers;
use crate::upstream::{Pool, WholeRequest};
use crate::worker::{Worker, WorkerCluster};

/// The endpoint of the named cluster whose turn it is, by the current plan, and what it is sent.
///
/// # Errors
/// [`CalloutError::Connect`] when there is none, [`CalloutError::Invalid`].
pub(super) fn choose(
    worker: &Worker,
    cluster: &str,
    request: CalloutRequest,
) -> Result<(Rc<Pool>, WholeRequest), CalloutError> {
    let plan = worker.plan();
    let cluster = plan.cluster_named(cluster).ok_or(CalloutError::Connect)?;
    let pool = cluster.next().ok_or(CalloutError::Connect)?;
    let request = settle(request, cluster, &pool)?;
    Ok((pool, request))
}

/// Checks a filter's request and takes out of its fields what is the gateway's: host, framing, and what belongs to
/// one connection.
fn settle(
    request: CalloutRequest,
    cluster: &WorkerCluster,
    pool: &Pool,
) -> Result<WholeRequest, CalloutError> {
    let CalloutRequest {
        method,
        path,
        authority,
        mut headers,
        body,
        ..
    } = request;
    if method == Method::CONNECT || !path.starts_with('/') {
        return Err(CalloutError::Invalid);
    }
    let path = PathAndQuery::try_from(path).map_err(|_| CalloutError::Invalid)?;
    let host = match authority.as_str() {
        "" => default_host(cluster, pool)?,
        given => host(given).ok_or(CalloutError::Invalid)?,
    };
    settle_fields(&mut headers);
    Ok(WholeRequest {
        method,
        path,
        host,
        headers,
        body,
    })
}

/// The cluster's name where it can be a host, else the endpoint.
fn default_host(cluster: &WorkerCluster, pool: &Pool) -> Result<Authority, CalloutError> {
    host(&cluster.name)
        .or_else(|| host(&pool.endpoint().to_string()))
        .ok_or(CalloutError::Invalid)
}

fn host(text: &str) -> Option<Authority> {
    // User information has no place in a request (RFC 9110 §4.2.4).
    text.parse().ok().filter(|_| !text.contains('@'))
}

fn settle_fields(headers: &mut HeaderMap) {
    headers::remove_hop_by_hop(headers);
    for name in [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRAILER,
        header::EXPECT,
    ] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        let check = |text: &str, expect: bool| assert_eq!(host(text).is_some(), expect, "{text}");
        check("auth.example", true);
        check("auth.example:8080", true);
        check("[::1]:80", true);
        check("Service/default/auth/80", false);
        check("user@auth.example", false);
        check("a b", false);
        check("", false);
    }

    #[test]
    fn framing_and_connection_fields_are_never_the_filters() {
        let mut headers = HeaderMap::new();
        for name in [
            "host",
            "content-length",
            "transfer-encoding",
            "te",
            "trailer",
            "upgrade",
            "expect",
            "keep-alive",
            "proxy-connection",
            "x-named",
        ] {
            headers.insert(name, HeaderValue::from_static("1"));
        }
        headers.insert("connection", HeaderValue::from_static("x-named"));
        headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
        settle_fields(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-forwarded-for"]);
    }
}

//! Precedence, case by case, and once against a slow and obvious oracle.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;

use super::*;

fn condition(path: PathPattern) -> RouteMatch {
    RouteMatch {
        path,
        method: None,
        headers: Vec::new(),
        query: Vec::new(),
    }
}

fn route(hosts: &[&str], matches: Vec<RouteMatch>) -> Route {
    let hostnames = hosts.iter().map(|host| host.parse().unwrap()).collect();
    Route {
        name: String::new(),
        hostnames,
        matches,
        chain: Vec::new(),
        backends: Vec::new(),
    }
}

fn header(name: &'static str, value: &str) -> (HeaderName, ValuePattern) {
    (
        HeaderName::from_static(name),
        ValuePattern::Exact(value.to_owned()),
    )
}

/// Finds the winner of `GET path` on `host`, with an `x-env: canary` header and `?v=2`.
fn winner(listener: Option<&str>, routes: &[Route], host: &str, path: &str) -> Option<usize> {
    let listener = listener.map(|name| name.parse().unwrap());
    let table = RouteTable::build(
        listener.as_ref(),
        routes
            .iter()
            .enumerate()
            .map(|(index, route)| (RouteIndex(index), route)),
    );
    let mut headers = HeaderMap::new();
    headers.insert("x-env", HeaderValue::from_static("canary"));
    headers.append("x-env", HeaderValue::from_static("second"));
    table
        .find(&MatchQuery {
            host,
            path,
            query: Some("a&v=2&v=3"),
            method: &Method::GET,
            headers: &headers,
        })
        .map(|RouteIndex(index)| index)
}

fn exact(path: &str) -> PathPattern {
    PathPattern::Exact(path.to_owned())
}

#[test]
fn a_prefix_matches_whole_elements_only() {
    let routes = [route(&[], vec![condition(PathPattern::prefix("/api/"))])];
    for (path, expect) in [
        ("/api", true),
        ("/api/", true),
        ("/api/x", true),
        ("/apix", false),
        ("/", false),
    ] {
        assert_eq!(winner(None, &routes, "h", path).is_some(), expect, "{path}");
    }
}

#[test]
fn exact_beats_prefix_and_longer_prefix_beats_shorter() {
    let routes = [
        route(&[], vec![condition(PathPattern::prefix("/"))]),
        route(&[], vec![condition(PathPattern::prefix("/a/b"))]),
        route(&[], vec![condition(exact("/a/b"))]),
        route(&[], vec![condition(PathPattern::Regex("/.*".parse().unwrap()))]),
    ];
    assert_eq!(winner(None, &routes, "h", "/a/b"), Some(2));
    assert_eq!(winner(None, &routes, "h", "/a/b/c"), Some(1));
    assert_eq!(winner(None, &routes, "h", "/a"), Some(0));
}

#[test]
fn method_then_headers_then_query_break_ties() {
    let with = |method: bool, headers: usize, query: usize| RouteMatch {
        path: PathPattern::prefix("/"),
        method: method.then_some(Method::GET),
        headers: [header("x-env", "canary")].into_iter().take(headers).collect(),
        query: [("v".to_owned(), ValuePattern::Exact("2".to_owned()))]
            .into_iter()
            .take(query)
            .collect(),
    };
    let routes = [
        route(&[], vec![with(false, 0, 1)]),
        route(&[], vec![with(false, 1, 0)]),
        route(&[], vec![with(true, 0, 0)]),
    ];
    assert_eq!(winner(None, &routes, "h", "/"), Some(2), "method first");
    assert_eq!(winner(None, &routes[..2], "h", "/"), Some(1), "then headers");
    assert_eq!(winner(None, &routes[..1], "h", "/"), Some(0), "then query");
}

#[test]
fn the_first_field_and_the_first_parameter_of_a_name_count() {
    let second = RouteMatch {
        headers: vec![header("x-env", "second")],
        ..condition(PathPattern::prefix("/"))
    };
    assert_eq!(winner(None, &[route(&[], vec![second])], "h", "/"), None);
    let third = RouteMatch {
        query: vec![("v".to_owned(), ValuePattern::Exact("3".to_owned()))],
        ..condition(PathPattern::prefix("/"))
    };
    assert_eq!(winner(None, &[route(&[], vec![third])], "h", "/"), None);
}

#[test]
fn a_more_specific_host_that_refuses_falls_through() {
    let routes = [
        route(&["a.example.com"], vec![condition(exact("/only"))]),
        route(&["*.example.com"], vec![condition(PathPattern::prefix("/"))]),
    ];
    assert_eq!(winner(None, &routes, "a.example.com", "/only"), Some(0));
    assert_eq!(winner(None, &routes, "a.example.com", "/other"), Some(1));
    assert_eq!(winner(None, &routes, "example.com", "/other"), None);
}

#[test]
fn the_hostname_as_written_ranks_and_the_intersection_matches() {
    // On the listener a.example.com both serve exactly that host; the exact one was written more precisely.
    let routes = [
        route(&["*.example.com"], vec![condition(exact("/"))]),
        route(&["a.example.com"], vec![condition(PathPattern::prefix("/"))]),
    ];
    assert_eq!(
        winner(Some("a.example.com"), &routes, "a.example.com", "/"),
        Some(1)
    );
}

#[test]
fn equal_matches_go_to_the_route_that_comes_first() {
    let same = || route(&[], vec![condition(exact("/"))]);
    assert_eq!(winner(None, &[same(), same()], "h", "/"), Some(0));
}

#[test]
fn regular_expressions_match_the_whole_value() {
    let routes = [route(
        &[],
        vec![condition(PathPattern::Regex("/v[0-9]+".parse().unwrap()))],
    )];
    assert!(winner(None, &routes, "h", "/v12").is_some());
    assert!(winner(None, &routes, "h", "/v12/x").is_none());
}

proptest! {
    /// The table agrees with trying every candidate and taking the maximum of the Gateway API's order.
    #[test]
    fn the_table_finds_what_an_exhaustive_search_finds(
        specs in prop::collection::vec((0usize..4, 0usize..6, any::<bool>()), 1..12),
        host in 0usize..3,
        path in 0usize..4,
    ) {
        const HOSTS: [&[&str]; 4] = [&[], &["a.example.com"], &["*.example.com"], &["*.com", "b.example.com"]];
        let patterns = || [exact("/"), exact("/a"), PathPattern::prefix("/"), PathPattern::prefix("/a"),
            PathPattern::prefix("/a/b"), exact("/a/b")];
        let routes: Vec<Route> = specs.iter().map(|(h, p, m)| {
            let [path] = [patterns()[*p].clone()];
            let method = m.then_some(Method::GET);
            route(HOSTS[*h], vec![RouteMatch { method, ..condition(path) }])
        }).collect();
        let host = ["a.example.com", "b.example.com", "other.org"][host];
        let path = ["/", "/a", "/a/b", "/ab"][path];
        let oracle = routes.iter().enumerate().flat_map(|(index, route)| {
            let hosts: Vec<Option<&Hostname>> =
                if route.hostnames.is_empty() { vec![None] } else { route.hostnames.iter().map(Some).collect() };
            hosts.into_iter().map(move |h| (index, h, &route.matches[0]))
        }).filter(|(_, h, m)| h.is_none_or(|h| h.matches(host)) && m.path.matches(path))
          .max_by_key(|(index, h, m)| {
              let rank = h.map_or((0, 0), Hostname::specificity);
              (rank, m.path.rank(), m.method.is_some(), Reverse(*index))
          }).map(|(index, _, _)| index);
        prop_assert_eq!(winner(None, &routes, host, path), oracle);
    }
}

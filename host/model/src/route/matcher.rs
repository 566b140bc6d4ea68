//! Route matching with Gateway API precedence, over all routes of a listener at once.
//!
//! Candidates are grouped by hostname and sorted once, so the first that matches wins. A host whose
//! routes all refuse falls through to the next less specific host.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::str::FromStr;

use http::{HeaderMap, Method};
use regex::Regex;

use super::{Route, RouteIndex, RouteMatch};
use crate::Hostname;

/// A condition on the path, without its query.
#[derive(Clone, Debug, PartialEq)]
pub enum PathPattern {
    /// The whole path.
    Exact(String),
    /// Whole path elements: `/a` matches `/a` and `/a/b`, not `/ab`. Kept without a trailing slash.
    Prefix(String),
    /// The whole path, as a regular expression.
    Regex(Pattern),
}

impl PathPattern {
    /// The prefix pattern for `path`; a trailing slash does not count.
    pub fn prefix(path: &str) -> Self {
        Self::Prefix(path.trim_end_matches('/').to_owned())
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Regex(pattern) => pattern.0.is_match(path),
        }
    }

    /// Exact before prefix before regular expression; longer before shorter.
    fn rank(&self) -> (u8, usize) {
        match self {
            Self::Exact(path) => (2, path.len()),
            Self::Prefix(path) => (1, path.len()),
            Self::Regex(pattern) => (0, pattern.0.as_str().len()),
        }
    }
}

/// A condition on a header or query value.
#[derive(Clone, Debug, PartialEq)]
pub enum ValuePattern {
    /// The whole value.
    Exact(String),
    /// The whole value, as a regular expression.
    Regex(Pattern),
}

impl ValuePattern {
    fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => exact.as_bytes() == value,
            Self::Regex(pattern) => std::str::from_utf8(value).is_ok_and(|text| pattern.0.is_match(text)),
        }
    }
}

/// An anchored regular expression, equal to another when the text is.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl FromStr for Pattern {
    type Err = regex::Error;

    fn from_str(text: &str) -> Result<Self, regex::Error> {
        Regex::new(&format!("^(?:{text})$")).map(Self)
    }
}

/// What a request offers to be matched.
#[derive(Clone, Copy, Debug)]
pub struct MatchQuery<'a> {
    /// Lower-case, without a port.
    pub host: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// Without the `?`.
    pub query: Option<&'a str>,
    /// The request's method.
    pub method: &'a Method,
    /// The request's header fields.
    pub headers: &'a HeaderMap,
}

/// All routes of one listener, ready to be asked.
#[derive(Debug, Default)]
pub struct RouteTable {
    groups: Vec<Group>,
    /// Groups with an exact host, by that host.
    exact: HashMap<String, Vec<usize>>,
    /// Groups with a wildcard or without a host.
    open: Vec<usize>,
}

#[derive(Debug)]
struct Group {
    host: Option<Hostname>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    condition: RouteMatch,
    route: RouteIndex,
}

impl RouteTable {
    /// Compiles the routes of a listener. `routes` comes in tie-break order.
    pub fn build<'a>(
        listener: Option<&Hostname>,
        routes: impl IntoIterator<Item = (RouteIndex, &'a Route)>,
    ) -> Self {
        // (rank of the hostname as written, host after intersection) -> entries
        let mut groups: Vec<((usize, usize), Group)> = Vec::new();
        let mut by_host: HashMap<((usize, usize), Option<Hostname>), usize> = HashMap::new();
        for (index, route) in routes {
            for (rank, host) in effective_hosts(listener, &route.hostnames) {
                let at = *by_host.entry((rank, host.clone())).or_insert_with(|| {
                    groups.push((
                        rank,
                        Group {
                            host,
                            entries: Vec::new(),
                        },
                    ));
                    groups.len() - 1
                });
                if let Some((_, group)) = groups.get_mut(at) {
                    let entries = route.matches.iter();
                    group.entries.extend(entries.map(|c| Entry {
                        condition: c.clone(),
                        route: index,
                    }));
                }
            }
        }
        groups.sort_by_key(|(rank, _)| Reverse(*rank));
        let mut table = Self::default();
        for (at, (_, mut group)) in groups.into_iter().enumerate() {
            // Stable: equal ranks keep the tie-break order they came in.
            group.entries.sort_by_key(|entry| Reverse(entry.rank()));
            match &group.host {
                Some(Hostname::Exact(host)) => table.exact.entry(host.clone()).or_default().push(at),
                Some(Hostname::Wildcard(_)) | None => table.open.push(at),
            }
            table.groups.push(group);
        }
        table
    }

    /// The route of the first match by precedence.
    pub fn find(&self, query: &MatchQuery<'_>) -> Option<RouteIndex> {
        let exact = self.exact.get(query.host).map_or(&[][..], Vec::as_slice);
        merge_ascending(exact, &self.open)
            .filter_map(|at| self.groups.get(at))
            .filter(|group| group.host.as_ref().is_none_or(|host| host.matches(query.host)))
            .find_map(|group| group.entries.iter().find(|entry| entry.matches(query)))
            .map(|entry| entry.route)
    }
}

impl Entry {
    fn matches(&self, query: &MatchQuery<'_>) -> bool {
        let RouteMatch {
            path,
            method,
            headers,
            query: parameters,
        } = &self.condition;
        path.matches(query.path)
            && method.as_ref().is_none_or(|method| method == query.method)
            && headers.iter().all(|(name, value)| {
                query
                    .headers
                    .get(name)
                    .is_some_and(|v| value.matches(v.as_bytes()))
            })
            && parameters.iter().all(|(name, value)| {
                query_value(query.query, name).is_some_and(|v| value.matches(v.as_bytes()))
            })
    }

    fn rank(&self) -> ((u8, usize), bool, usize, usize) {
        let RouteMatch {
            path,
            method,
            headers,
            query,
        } = &self.condition;
        (path.rank(), method.is_some(), headers.len(), query.len())
    }
}

/// The hosts a route serves on a listener, each with the rank of the hostname *as the route wrote it*
/// (Gateway API 1.7: the intersection matches, the original ranks).
fn effective_hosts(
    listener: Option<&Hostname>,
    route: &[Hostname],
) -> Vec<((usize, usize), Option<Hostname>)> {
    match (listener, route) {
        (None, []) => vec![((0, 0), None)],
        (Some(listener), []) => vec![((0, 0), Some(listener.clone()))],
        (None, hosts) => hosts
            .iter()
            .map(|host| (host.specificity(), Some(host.clone())))
            .collect(),
        (Some(listener), hosts) => hosts
            .iter()
            .filter_map(|host| {
                host.intersect(listener)
                    .map(|both| (host.specificity(), Some(both)))
            })
            .collect(),
    }
}

fn query_value<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(n, _)| *n == name)
        .map(|(_, v)| v)
}

/// Both inputs ascend; so does the result.
fn merge_ascending<'a>(mut a: &'a [usize], mut b: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
    std::iter::from_fn(move || {
        let from_a = match (a.first(), b.first()) {
            (Some(x), Some(y)) => x < y,
            (first, _) => first.is_some(),
        };
        let (next, rest) = if from_a {
            a.split_first()?
        } else {
            b.split_first()?
        };
        *(if from_a { &mut a } else { &mut b }) = rest;
        Some(*next)
    })
}

#[cfg(test)]
mod tests;

//! `Document` → `Snapshot`: names become indexes, text becomes types, and every defect is collected.

mod limit;
mod plugin;

use std::collections::HashMap;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use weir_model as model;
use weir_model::route::{PathPattern, RouteMatch, ValuePattern};

use crate::Diagnostic;
use crate::document::{self, Document};

/// Lowers a document.
///
/// # Errors
/// Every defect found, never only the first; the document is then unusable as a whole.
pub fn lower(document: &Document) -> Result<model::Snapshot, Vec<Diagnostic>> {
    let mut lowering = Lowering {
        diagnostics: Vec::new(),
    };
    let snapshot = lowering.document(document);
    match snapshot {
        Some(snapshot) if lowering.diagnostics.is_empty() => Ok(snapshot),
        _ => Err(lowering.diagnostics),
    }
}

/// Names of one kind of thing, with the index each stands for.
type Names<'a> = HashMap<&'a str, usize>;

struct Lowering {
    diagnostics: Vec<Diagnostic>,
}

impl Lowering {
    fn document(&mut self, document: &Document) -> Option<model::Snapshot> {
        if document.version != Document::VERSION {
            self.defect(
                "version",
                format!(
                    "{:?} is not understood; write {}",
                    document.version,
                    Document::VERSION
                ),
            );
        }
        let plugins = self.names("plugins", document.plugins.iter().map(|it| it.name.as_str()));
        let filters = self.names("filters", document.filters.iter().map(|it| it.name.as_str()));
        let clusters = self.names("clusters", document.clusters.iter().map(|it| it.name.as_str()));
        let routes = self.names("routes", document.routes.iter().map(|it| it.name.as_str()));
        self.names("listeners", document.listeners.iter().map(|it| it.name.as_str()));

        let lowered_plugins: Vec<_> = self.each("plugins", &document.plugins, |this, at, plugin| {
            this.plugin(at, plugin, &clusters)
        });
        let snapshot = model::Snapshot {
            revision: revision(document),
            gateway: document.gateway.clone(),
            detail_header: document.detail_header,
            filters: self.each("filters", &document.filters, |this, at, filter| {
                let plugin = this.reference(&format!("{at}.plugin"), &plugins, &filter.plugin)?;
                this.filter(
                    at,
                    filter,
                    model::PluginIndex(plugin),
                    lowered_plugins.get(plugin)?,
                    &clusters,
                )
            }),
            routes: self.each("routes", &document.routes, |this, at, route| {
                this.route(at, route, &filters, &clusters)
            }),
            clusters: self.each("clusters", &document.clusters, |_, _, cluster| {
                Some(lower_cluster(cluster))
            }),
            listeners: self.each("listeners", &document.listeners, |this, at, listener| {
                this.listener(at, listener, &filters, &routes)
            }),
            plugins: lowered_plugins,
        };
        Some(snapshot)
    }

    fn listener(
        &mut self,
        at: &str,
        listener: &document::Listener,
        filters: &Names<'_>,
        routes: &Names<'_>,
    ) -> Option<model::Listener> {
        let address = self.parse(&format!("{at}.address"), &listener.address);
        let hostname = match &listener.hostname {
            None => Some(None),
            Some(name) => self.parse(&format!("{at}.hostname"), name).map(Some),
        };
        let chain = self.references(&format!("{at}.chain"), filters, &listener.chain);
        let routes = self.references(&format!("{at}.routes"), routes, &listener.routes);
        Some(model::Listener {
            name: listener.name.clone(),
            address: address?,
            port: listener.port,
            hostname: hostname?,
            chain: chain.into_iter().map(model::FilterIndex).collect(),
            routes: routes.into_iter().map(model::RouteIndex).collect(),
        })
    }

    fn route(
        &mut self,
        at: &str,
        route: &document::Route,
        filters: &Names<'_>,
        clusters: &Names<'_>,
    ) -> Option<model::Route> {
        let hostnames = self.each(&format!("{at}.hostnames"), &route.hostnames, |this, at, host| {
            this.parse(at, host)
        });
        let mut matches = self.each(&format!("{at}.matches"), &route.matches, Self::condition);
        if route.matches.is_empty() {
            matches.push(RouteMatch {
                path: PathPattern::prefix("/"),
                method: None,
                headers: Vec::new(),
                query: Vec::new(),
            });
        }
        let chain = self.references(&format!("{at}.chain"), filters, &route.chain);
        let backends = self.each(&format!("{at}.backends"), &route.backends, |this, at, backend| {
            Some(model::Backend {
                target: this.target(at, backend, filters, clusters)?,
                weight: backend.weight,
            })
        });
        Some(model::Route {
            name: route.name.clone(),
            hostnames,
            matches,
            chain: chain.into_iter().map(model::FilterIndex).collect(),
            backends,
        })
    }

    fn target(
        &mut self,
        at: &str,
        backend: &document::Backend,
        filters: &Names<'_>,
        clusters: &Names<'_>,
    ) -> Option<model::BackendTarget> {
        match (&backend.cluster, &backend.handler) {
            (None, None) => Some(model::BackendTarget::Unresolved),
            (Some(name), None) => {
                let index = self.reference(&format!("{at}.cluster"), clusters, name)?;
                Some(model::BackendTarget::Cluster(model::ClusterIndex(index)))
            }
            (None, Some(name)) => {
                let index = self.reference(&format!("{at}.handler"), filters, name)?;
                Some(model::BackendTarget::Plugin(model::FilterIndex(index)))
            }
            (Some(_), Some(_)) => {
                self.defect(
                    at,
                    "cluster and handler exclude each other; remove one".to_owned(),
                );
                None
            }
        }
    }

    fn condition(&mut self, at: &str, condition: &document::Match) -> Option<RouteMatch> {
        let path = match &condition.path {
            None => Some(PathPattern::prefix("/")),
            Some(document::PathMatch::Exact(path)) => Some(PathPattern::Exact(path.clone())),
            Some(document::PathMatch::Prefix(path)) => Some(PathPattern::prefix(path)),
            Some(document::PathMatch::Regex(text)) => self
                .parse(&format!("{at}.path.regex"), text)
                .map(PathPattern::Regex),
        };
        let method = match &condition.method {
            None => Some(None),
            Some(text) => self.parse(&format!("{at}.method"), text).map(Some),
        };
        let headers = self.each(
            &format!("{at}.headers"),
            &condition.headers,
            |this, at, header| {
                let name = this.parse(&format!("{at}.name"), &header.name);
                let value = this.pattern(&format!("{at}.value"), &header.value);
                Some((name?, value?))
            },
        );
        let query = self.each(&format!("{at}.query"), &condition.query, |this, at, parameter| {
            let value = this.pattern(&format!("{at}.value"), &parameter.value);
            Some((parameter.name.clone(), value?))
        });
        Some(RouteMatch {
            path: path?,
            method: method?,
            headers,
            query,
        })
    }

    fn pattern(&mut self, at: &str, pattern: &document::ValuePattern) -> Option<ValuePattern> {
        match pattern {
            document::ValuePattern::Exact(value) => Some(ValuePattern::Exact(value.clone())),
            document::ValuePattern::Regex(text) => {
                self.parse(&format!("{at}.regex"), text).map(ValuePattern::Regex)
            }
        }
    }

    /// Collects the names of one kind and reports those that stand twice.
    fn names<'a>(&mut self, kind: &str, names: impl Iterator<Item = &'a str>) -> Names<'a> {
        let mut known = Names::new();
        for (index, name) in names.enumerate() {
            if let Some(first) = known.insert(name, index) {
                self.defect(
                    &format!("{kind}[{index}].name"),
                    format!("{name:?} is already the name of {kind}[{first}]; names are unique"),
                );
            }
        }
        known
    }

    fn reference(&mut self, at: &str, names: &Names<'_>, name: &str) -> Option<usize> {
        let found = names.get(name).copied();
        if found.is_none() {
            self.defect(at, format!("nothing in this document is named {name:?}"));
        }
        found
    }

    fn references(&mut self, at: &str, names: &Names<'_>, wanted: &[String]) -> Vec<usize> {
        self.each(at, wanted, |this, at, name| this.reference(at, names, name))
    }

    fn each<T, U>(
        &mut self,
        at: &str,
        items: &[T],
        mut lower: impl FnMut(&mut Self, &str, &T) -> Option<U>,
    ) -> Vec<U> {
        let items = items.iter().enumerate();
        items
            .filter_map(|(index, item)| lower(self, &format!("{at}[{index}]"), item))
            .collect()
    }

    fn parse<T: FromStr<Err: std::fmt::Display>>(&mut self, at: &str, text: &str) -> Option<T> {
        text.parse()
            .map_err(|error: T::Err| self.defect(at, format!("{text:?}: {error}")))
            .ok()
    }

    fn defect(&mut self, path: &str, message: String) {
        self.diagnostics.push(Diagnostic {
            path: path.to_owned(),
            message,
        });
    }
}

fn lower_cluster(cluster: &document::Cluster) -> model::Cluster {
    let endpoint = |endpoint: &document::Endpoint| model::Endpoint {
        host: endpoint
            .host
            .parse()
            .map_or_else(|_| model::Host::Name(endpoint.host.clone()), model::Host::Address),
        port: endpoint.port,
    };
    model::Cluster {
        name: cluster.name.clone(),
        endpoints: cluster.endpoints.iter().map(endpoint).collect(),
    }
}

fn revision(document: &Document) -> model::Revision {
    // Field order is fixed by the types, so equal documents have equal JSON.
    let canonical = serde_json::to_vec(document).unwrap_or_default();
    let mut short = [0; 8];
    for (to, from) in short.iter_mut().zip(Sha256::digest(canonical)) {
        *to = from;
    }
    model::Revision::from_digest(short)
}

#[cfg(test)]
mod tests;

//! `Document` → `Snapshot`: names become indexes, text becomes types, and every defect is collected.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

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
            this.plugin(at, plugin)
        });
        let snapshot = model::Snapshot {
            revision: revision(document),
            gateway: document.gateway.clone(),
            filters: self.each("filters", &document.filters, |this, at, filter| {
                let plugin = this.reference(&format!("{at}.plugin"), &plugins, &filter.plugin)?;
                this.filter(
                    at,
                    filter,
                    model::PluginIndex(plugin),
                    lowered_plugins.get(plugin)?,
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
            let cluster = match &backend.cluster {
                None => None,
                Some(name) => Some(this.reference(&format!("{at}.cluster"), clusters, name)?),
            };
            Some(model::Backend {
                cluster: cluster.map(model::ClusterIndex),
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

    fn plugin(&mut self, at: &str, plugin: &document::Plugin) -> Option<model::Plugin> {
        let source = match &plugin.source {
            document::Source::Builtin(name) => Some(model::PluginSource::Builtin(name.clone())),
            document::Source::File(path) if path.starts_with('/') => {
                Some(model::PluginSource::File(path.into()))
            }
            document::Source::File(path) => {
                self.defect(
                    &format!("{at}.source.file"),
                    format!("{path:?} is not an absolute path"),
                );
                None
            }
        };
        if let Some(digest) = &plugin.digest {
            let hex = digest.strip_prefix("sha256:");
            if !hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())) {
                self.defect(
                    &format!("{at}.digest"),
                    format!("{digest:?} is not sha256: and 64 hex digits"),
                );
            }
        }
        let capabilities = self.each(
            &format!("{at}.capabilities"),
            &plugin.capabilities,
            |this, at, text| this.parse(at, text),
        );
        let limits = chosen(model::Limits::DEFAULT, &plugin.limits);
        Some(model::Plugin {
            name: plugin.name.clone(),
            source: source?,
            digest: plugin.digest.as_ref().map(|digest| digest.to_ascii_lowercase()),
            capabilities,
            limits,
        })
    }

    fn filter(
        &mut self,
        at: &str,
        filter: &document::Filter,
        index: model::PluginIndex,
        plugin: &model::Plugin,
    ) -> Option<model::ChainFilter> {
        let stage = self.parse(&format!("{at}.stage"), &filter.stage);
        let capabilities = match &filter.capabilities {
            None => plugin.capabilities.clone(),
            Some(texts) => self.each(&format!("{at}.capabilities"), texts, |this, at, text| {
                this.parse(at, text)
            }),
        };
        // A built-in is granted what its front end asks for; a user's plugin only what its object grants.
        if !matches!(plugin.source, model::PluginSource::Builtin(_)) {
            for extra in capabilities.iter().filter(|it| !plugin.capabilities.contains(it)) {
                self.defect(
                    &format!("{at}.capabilities"),
                    format!(
                        "{extra} is not granted to plugin {:?}; add it to the plugin's capabilities",
                        plugin.name
                    ),
                );
            }
        }
        let config = match serde_json::to_vec(&filter.config) {
            Ok(config) => config,
            Err(error) => {
                self.defect(&format!("{at}.config"), error.to_string());
                return None;
            }
        };
        Some(model::ChainFilter {
            name: filter.name.clone(),
            plugin: index,
            config,
            stage: stage?,
            failure_mode: match filter.failure_mode {
                document::FailureMode::Closed => model::FailureMode::Closed,
                document::FailureMode::Open => model::FailureMode::Open,
            },
            capabilities,
            limits: narrowed(plugin.limits, &filter.limits),
            origin: filter.origin.clone(),
        })
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

/// What a plugin's object says, over the defaults.
fn chosen(base: model::Limits, limits: &document::Limits) -> model::Limits {
    model::Limits {
        memory: limits.memory_bytes.unwrap_or(base.memory),
        deadline: limits
            .deadline_millis
            .map_or(base.deadline, Duration::from_millis),
        body: limits.body_bytes.unwrap_or(base.body),
        instances: limits.instances.unwrap_or(base.instances).max(1),
    }
}

/// What a use of a plugin says: never wider than the plugin's own limits.
fn narrowed(base: model::Limits, limits: &document::Limits) -> model::Limits {
    let wanted = chosen(base, limits);
    model::Limits {
        memory: wanted.memory.min(base.memory),
        deadline: wanted.deadline.min(base.deadline),
        body: wanted.body.min(base.body),
        instances: wanted.instances.min(base.instances),
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

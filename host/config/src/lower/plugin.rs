//! Plugins and filters: their sources, grants, limits and how they are kept.

use std::time::Duration;

use weir_model as model;

use super::limit::{chosen, narrowed};
use super::{Lowering, Names};
use crate::document;

impl Lowering {
    pub(super) fn plugin(
        &mut self,
        at: &str,
        plugin: &document::Plugin,
        clusters: &Names<'_>,
    ) -> Option<model::Plugin> {
        let source = self.source(at, plugin);
        if let Some(digest) = &plugin.digest {
            let hex = digest.strip_prefix("sha256:");
            if !hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())) {
                self.defect(
                    &format!("{at}.digest"),
                    format!("{digest:?} is not sha256: and 64 hex digits"),
                );
            }
        }
        let signature = self.signature(&format!("{at}.publicKey"), plugin);
        let capabilities = self.each(
            &format!("{at}.capabilities"),
            &plugin.capabilities,
            |this, at, text| this.parse(at, text),
        );
        let backends = self.backends(&format!("{at}.backends"), &plugin.backends, clusters);
        Some(model::Plugin {
            name: plugin.name.clone(),
            source: source?,
            digest: plugin.digest.as_ref().map(|digest| digest.to_ascii_lowercase()),
            signature,
            capabilities,
            limits: chosen(model::Limits::DEFAULT, &plugin.limits),
            isolation: isolation(plugin.isolation),
            rollout: match plugin.rollout {
                document::Rollout::Replace => model::Rollout::Replace,
                document::Rollout::Shadow => model::Rollout::Shadow,
            },
            recycle: self.recycle(&format!("{at}.recycle"), plugin.recycle),
            backends,
        })
    }

    fn signature(&mut self, at: &str, plugin: &document::Plugin) -> Option<model::Signature> {
        let pem = plugin.public_key.as_ref()?;
        if matches!(plugin.source, document::Source::Builtin(_)) {
            let message = "a built-in comes with the gateway and is not signed; remove it";
            self.defect(at, message.to_owned());
        }
        // The text is not repeated: it may be a private key by mistake.
        pem.parse()
            .map_err(|error: model::SignatureError| self.defect(at, error.to_string()))
            .ok()
    }

    fn source(&mut self, at: &str, plugin: &document::Plugin) -> Option<model::PluginSource> {
        match &plugin.source {
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
            document::Source::Http(url) => {
                let at = format!("{at}.source.http");
                let source = url.parse::<model::HttpSource>();
                let source = source.map_err(|error| self.defect(&at, error.to_string())).ok()?;
                if source.needs_digest() && plugin.digest.is_none() {
                    self.defect(&at, UNPINNED.to_owned());
                }
                Some(model::PluginSource::Http(source))
            }
            document::Source::Oci(source) => {
                let source = self.oci(&format!("{at}.source.oci"), source, plugin.digest.is_some())?;
                Some(model::PluginSource::Oci(source))
            }
        }
    }

    fn oci(&mut self, at: &str, source: &document::OciSource, pinned: bool) -> Option<model::OciSource> {
        let lowered = model::OciSource::new(&source.reference);
        let mut lowered = lowered
            .map_err(|error| self.defect(&format!("{at}.reference"), error.to_string()))
            .ok()?;
        lowered.plain_http = source.plain_http;
        if let Some(millis) = source.poll_millis {
            let at = format!("{at}.pollMillis");
            let poll = Duration::from_millis(millis);
            if lowered.is_pinned() {
                self.defect(&at, "a digest never changes; remove it".to_owned());
            } else if poll < model::OciSource::MIN_POLL {
                self.defect(
                    &at,
                    "a tag is resolved at most every second; write 1000 or more".to_owned(),
                );
            } else {
                lowered.poll = Some(poll);
            }
        }
        if lowered.is_exposed() && !pinned && !lowered.is_pinned() {
            self.defect(&format!("{at}.plainHttp"), UNPINNED.to_owned());
        }
        if lowered.is_exposed() && source.pull_secret.is_some() {
            let message = "the password would be readable on the way; use TLS or no secret";
            self.defect(&format!("{at}.pullSecret"), message.to_owned());
        }
        lowered.pull_secret = source.pull_secret.as_ref().map(|secret| model::PullSecret {
            username: secret.username.clone(),
            password: secret.password.clone(),
        });
        Some(lowered)
    }

    fn recycle(&mut self, at: &str, recycle: document::Recycle) -> model::Recycle {
        let base = model::Recycle::DEFAULT;
        if recycle.calls == Some(0) {
            self.defect(
                &format!("{at}.calls"),
                "0 is no number of calls; write 1 or more".to_owned(),
            );
        }
        if recycle.age_millis.is_some_and(|it| it < 1000) {
            let message = "an instance lives a second or longer; write 1000 or more";
            self.defect(&format!("{at}.ageMillis"), message.to_owned());
        }
        if recycle.memory_percent.is_some_and(|it| !(1..=100).contains(&it)) {
            self.defect(&format!("{at}.memoryPercent"), "write 1 to 100".to_owned());
        }
        model::Recycle {
            calls: recycle.calls.unwrap_or(base.calls),
            age: recycle.age_millis.map_or(base.age, Duration::from_millis),
            memory_percent: recycle.memory_percent.unwrap_or(base.memory_percent),
        }
    }

    fn backends(
        &mut self,
        at: &str,
        backends: &[document::GrantedBackend],
        clusters: &Names<'_>,
    ) -> Vec<model::GrantedBackend> {
        self.names(at, backends.iter().map(|it| it.name.as_str()));
        self.each(at, backends, |this, at, backend| {
            let cluster = match &backend.cluster {
                None => String::new(),
                Some(name) => {
                    this.reference(&format!("{at}.cluster"), clusters, name)?;
                    name.clone()
                }
            };
            Some(model::GrantedBackend {
                name: backend.name.clone(),
                cluster,
            })
        })
    }

    pub(super) fn filter(
        &mut self,
        at: &str,
        filter: &document::Filter,
        index: model::PluginIndex,
        plugin: &model::Plugin,
        clusters: &Names<'_>,
    ) -> Option<model::ChainFilter> {
        let stage = self.parse(&format!("{at}.stage"), &filter.stage);
        let capabilities = match &filter.capabilities {
            None => plugin.capabilities.clone(),
            Some(texts) => self.each(&format!("{at}.capabilities"), texts, |this, at, text| {
                this.parse(at, text)
            }),
        };
        let backends = match &filter.backends {
            None => plugin.backends.clone(),
            Some(backends) => self.backends(&format!("{at}.backends"), backends, clusters),
        };
        self.check_grants(at, plugin, &capabilities, &backends);
        let isolation = self.isolation(at, filter, plugin);
        if filter.limits.kv_bytes.is_some() {
            let message = "all uses of a plugin share its namespace; set it on the plugin";
            self.defect(&format!("{at}.limits.kvBytes"), message.to_owned());
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
            isolation,
            backends,
            origin: filter.origin.clone(),
        })
    }

    /// A use is as isolated as its plugin, or more.
    fn isolation(&mut self, at: &str, filter: &document::Filter, plugin: &model::Plugin) -> model::Isolation {
        let own = filter.isolation.map_or(plugin.isolation, isolation);
        if own < plugin.isolation {
            let message = format!("plugin {:?} is fresh; a use of it cannot be warm", plugin.name);
            self.defect(&format!("{at}.isolation"), message);
        }
        own
    }

    /// A built-in is granted what its front end asks for; a user's plugin only what its object grants.
    fn check_grants(
        &mut self,
        at: &str,
        plugin: &model::Plugin,
        capabilities: &[model::Capability],
        backends: &[model::GrantedBackend],
    ) {
        if matches!(plugin.source, model::PluginSource::Builtin(_)) {
            return;
        }
        for extra in capabilities.iter().filter(|it| !plugin.capabilities.contains(it)) {
            self.defect(
                &format!("{at}.capabilities"),
                format!(
                    "{extra} is not granted to plugin {:?}; add it to the plugin's capabilities",
                    plugin.name
                ),
            );
        }
        let is_granted = |name: &str| plugin.backends.iter().any(|it| it.name == name);
        for extra in backends.iter().filter(|it| !is_granted(&it.name)) {
            self.defect(
                &format!("{at}.backends"),
                format!(
                    "backend {:?} is not granted to plugin {:?}; add it to the plugin's backends",
                    extra.name, plugin.name
                ),
            );
        }
    }
}

const fn isolation(isolation: document::Isolation) -> model::Isolation {
    match isolation {
        document::Isolation::Warm => model::Isolation::Warm,
        document::Isolation::Fresh => model::Isolation::Fresh,
    }
}

const UNPINNED: &str = "without TLS anyone on the way could exchange the plugin; use TLS or pin its digest";

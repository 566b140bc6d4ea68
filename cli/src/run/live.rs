//! The gateways that are live, and the last word on every object.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;
use weir_config::Document;
use weir_gateway::admin::View;
use weir_gateway::{Applied, BackgroundThread, Builtins, Failure, Gateway, Health, Sources, Subject};
use weir_model::{Plugin, PluginSource, Snapshot};
use weir_proxy::FleetConfig;
use weir_runtime::Runtime;
use weir_translate::ObjectStatus;

use super::transition::Transitions;
use crate::status::{GatewayReport, StatusReport};
use crate::validate::refusals;
use crate::{manifest, plugins};

/// Everything that runs, and what is known about it.
pub(super) struct Live {
    runtime: Arc<Runtime>,
    builtins: Arc<Builtins>,
    sources: Sources,
    background: Arc<BackgroundThread>,
    fleet: FleetConfig,
    gateways: BTreeMap<String, Running>,
    plugin_files: Vec<PathBuf>,
    objects: Vec<ObjectStatus>,
    complaints: Vec<String>,
    problems: Vec<String>,
    health: Vec<(String, Health)>,
    transitions: Transitions,
    view: watch::Sender<View>,
    grace: Duration,
    /// Gateways that were removed and whose clients still finish.
    draining: JoinSet<()>,
}

struct Running {
    gateway: Gateway,
    /// What is live, for people.
    document: String,
    addresses: Vec<SocketAddr>,
}

impl Live {
    pub(super) fn new(
        runtime: Arc<Runtime>,
        sources: Sources,
        background: BackgroundThread,
        fleet: FleetConfig,
        grace: Duration,
        view: watch::Sender<View>,
    ) -> Self {
        Self {
            runtime,
            builtins: plugins::builtins(),
            sources,
            background: Arc::new(background),
            fleet,
            gateways: BTreeMap::new(),
            plugin_files: Vec::new(),
            objects: Vec::new(),
            complaints: Vec::new(),
            problems: Vec::new(),
            health: Vec::new(),
            transitions: Transitions::default(),
            view,
            grace,
            draining: JoinSet::new(),
        }
    }

    /// The plugin files that the newest manifests name, whether or not they could be loaded.
    pub(super) fn plugin_files(&self) -> &[PathBuf] {
        &self.plugin_files
    }

    /// Reads everything again and makes it live.
    ///
    /// # Errors
    /// Why some of it is not live. Each Gateway keeps its last good configuration.
    pub(super) async fn reload(&mut self, paths: &[PathBuf]) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        match manifest::translate(paths) {
            Ok(translated) => {
                self.objects = translated.output.statuses;
                self.stop_removed().await;
                let lowered: Vec<_> = translated
                    .output
                    .documents
                    .iter()
                    .map(|document| (document, weir_config::lower(document)))
                    .collect();
                self.follow(lowered.iter().filter_map(|(_, it)| it.as_ref().ok()));
                for (document, snapshot) in lowered {
                    match snapshot {
                        Ok(snapshot) => problems.extend(self.apply(document, snapshot).await),
                        Err(diagnostics) => problems.extend(
                            diagnostics
                                .iter()
                                .map(|it| format!("Gateway {}: {it}", document.gateway)),
                        ),
                    }
                }
                if translated.output.documents.is_empty() {
                    problems
                        .push("no Gateway of weir.dev/gateway-controller here can be programmed".to_owned());
                }
                self.complain();
            }
            Err(mistakes) => problems = mistakes,
        }
        self.health = self.health_now();
        self.problems.clone_from(&problems);
        self.publish();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }

    /// Waits until a plugin was fetched, or is known to be missing.
    pub(super) async fn arrived(&self) {
        self.sources.changed().await;
    }

    /// True when something is served and only plugins that are being fetched are missing.
    pub(super) fn waits_for_plugins(&self) -> bool {
        let mut gateways = self.gateways.values();
        gateways.any(|it| it.gateway.live().is_some() && !it.gateway.is_ready())
    }

    /// Why the newest configuration is not live as a whole.
    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Publishes how plugins fare, when it changed.
    pub(super) fn show_health(&mut self) {
        let health = self.health_now();
        if health != self.health {
            self.health = health;
            self.publish();
        }
    }

    /// Lets every gateway finish what is in flight.
    pub(super) async fn drain(self) {
        self.view.send_modify(|view| view.ready = false);
        let mut draining = self.draining;
        for running in self.gateways.into_values() {
            draining.spawn(running.gateway.drain(self.grace));
        }
        draining.join_all().await;
    }

    /// Looks after the plugins that these snapshots name: files are watched, remote ones fetched.
    fn follow<'a>(&mut self, snapshots: impl Iterator<Item = &'a Snapshot>) {
        let plugins: Vec<&Plugin> = snapshots.flat_map(|it| &it.plugins).collect();
        self.plugin_files.clear();
        for plugin in &plugins {
            if let PluginSource::File(path) = &plugin.source {
                self.plugin_files.push(path.clone());
                if plugin.signature.is_some() {
                    let mut signature = path.clone().into_os_string();
                    signature.push(".sig");
                    self.plugin_files.push(signature.into());
                }
            }
        }
        self.sources.follow(plugins);
    }

    /// Makes one Gateway's document live; returns what of it is not.
    async fn apply(&mut self, document: &Document, snapshot: Snapshot) -> Vec<String> {
        let listeners: Vec<SocketAddr> = snapshot
            .listeners
            .iter()
            .map(|it| SocketAddr::new(it.address, it.port))
            .collect();
        let plugins: Vec<String> = snapshot.plugins.iter().map(|it| it.name.clone()).collect();
        let revision = snapshot.revision;
        let arrived = self.sources.arrived();
        let running = match self.running(document) {
            Ok(running) => running,
            Err(error) => {
                return vec![format!(
                    "Gateway {}: cannot start workers: {error}",
                    document.gateway
                )];
            }
        };
        match running.gateway.apply(snapshot, arrived).await {
            Ok(Applied { is_new, failures }) => {
                running.document = document.to_yaml().unwrap_or_default();
                running.addresses = listeners
                    .iter()
                    .filter_map(|it| running.gateway.bound(*it))
                    .collect();
                running.addresses.sort_unstable();
                running.addresses.dedup();
                if is_new {
                    let on = running
                        .addresses
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(", ");
                    tracing::info!(gateway = document.gateway, %revision, on, "live");
                }
                let running = plugins
                    .into_iter()
                    .filter_map(|name| Some((name.clone(), running.gateway.plugin(&name)?)));
                let running: Vec<(String, String)> = running.collect();
                self.programmed(document, &running, &format!("revision {revision} is live"));
                self.blame(
                    document,
                    &failures,
                    "what was good last runs, or its exchanges fail",
                );
                said(document, &failures)
            }
            Err(failures) => {
                let live = running.gateway.live();
                let kept = live.map_or_else(
                    || "nothing is served yet".to_owned(),
                    |it| format!("revision {it} stays"),
                );
                self.refused(document, &failures, &kept);
                said(document, &failures)
            }
        }
    }

    fn running(&mut self, document: &Document) -> std::io::Result<&mut Running> {
        match self.gateways.entry(document.gateway.clone()) {
            std::collections::btree_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::btree_map::Entry::Vacant(slot) => {
                let gateway = Gateway::start(
                    &self.fleet,
                    Arc::clone(&self.runtime),
                    Arc::clone(&self.builtins),
                    Arc::clone(&self.background),
                )?;
                Ok(slot.insert(Running {
                    gateway,
                    document: String::new(),
                    addresses: Vec::new(),
                }))
            }
        }
    }

    /// Stops Gateways that were deleted. One that is still there and cannot be programmed keeps serving what
    /// was good last.
    async fn stop_removed(&mut self) {
        let is_there = |name: &str| {
            self.objects
                .iter()
                .any(|it| it.kind == "Gateway" && path(it) == name)
        };
        let is_gone = |name: &String| !is_there(name);
        let gone: Vec<String> = self
            .gateways
            .keys()
            .filter(|name| is_gone(name))
            .cloned()
            .collect();
        for name in gone {
            if let Some(mut running) = self.gateways.remove(&name) {
                tracing::info!(gateway = name, "removed: draining");
                // Its ports are free before another Gateway may ask for them.
                running.gateway.close().await;
                // Its clients finish on their own time; the others must not wait for them.
                self.draining.spawn(running.gateway.drain(self.grace));
            }
        }
    }

    fn programmed(&mut self, document: &Document, plugins: &[(String, String)], message: &str) {
        for status in &mut self.objects {
            let name = path(status);
            let plugin = plugins
                .iter()
                .find(|(plugin, _)| status.kind == "Plugin" && *plugin == name);
            if let Some((_, running)) = plugin {
                status.set_condition("Programmed", true, "Programmed", running);
            } else if status.kind == "Gateway" && name == document.gateway {
                status.set_condition("Programmed", true, "Programmed", message);
            }
        }
    }

    fn refused(&mut self, document: &Document, failures: &[Failure], kept: &str) {
        let reasons = failures
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        for status in &mut self.objects {
            let name = path(status);
            if status.kind == "Gateway" && name == document.gateway {
                status.set_condition("Programmed", false, "Invalid", &format!("{reasons}; {kept}"));
            }
        }
        self.blame(document, failures, kept);
    }

    /// Tells each object what of it is not live.
    fn blame(&mut self, document: &Document, failures: &[Failure], kept: &str) {
        for status in &mut self.objects {
            let name = path(status);
            for Failure {
                subject,
                message,
                is_pending,
                ..
            } in failures
            {
                let blame = format!("{message}; {kept}");
                match subject {
                    Subject::Plugin(plugin) if status.kind == "Plugin" && *plugin == name => {
                        let reason = if *is_pending { "Pending" } else { "LoadFailed" };
                        status.set_condition("Programmed", false, reason, &blame);
                    }
                    Subject::Filter { origin, .. } if origin.contains(&status.object()) => {
                        status.set_ancestor_conditions("Accepted", false, "Invalid", &blame);
                        status.set_ancestor_conditions("Attached", false, "Pending", &blame);
                    }
                    Subject::Listener(address) if status.kind == "Gateway" && name == document.gateway => {
                        unusable(status, document, *address, &blame);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Says on stderr what the conditions refuse, once. What keeps a Gateway from being programmed is said
    /// by whoever called for the reload.
    fn complain(&mut self) {
        let complaints: Vec<String> = self
            .objects
            .iter()
            .flat_map(|it| refusals(it, &["Programmed"]))
            .collect();
        for complaint in complaints.iter().filter(|it| !self.complaints.contains(it)) {
            tracing::warn!("{complaint}");
        }
        self.complaints = complaints;
    }

    fn health_now(&self) -> Vec<(String, Health)> {
        self.gateways
            .values()
            .flat_map(|it| it.gateway.health())
            .collect()
    }

    fn publish(&mut self) {
        let mut objects: Vec<_> = self
            .objects
            .iter()
            .filter_map(|status| serde_json::to_value(healthy(status.clone(), &self.health)).ok())
            .collect();
        self.transitions.stamp(&mut objects, SystemTime::now());
        let gateways = self.gateways.iter().map(|(name, running)| GatewayReport {
            name: name.clone(),
            revision: running.gateway.live().map(|it| it.to_string()),
            addresses: running.addresses.iter().map(ToString::to_string).collect(),
        });
        let report = StatusReport {
            gateways: gateways.collect(),
            problems: self.problems.clone(),
            objects,
        };
        let documents = self.gateways.values().map(|it| format!("---\n{}", it.document));
        self.view.send_replace(View {
            ready: self.gateways.values().any(|it| it.gateway.live().is_some()) && !self.waits_for_plugins(),
            status: serde_json::to_string_pretty(&report).unwrap_or_default().into(),
            config: documents.collect::<String>().into(),
        });
    }
}

/// Adds how a plugin fares to its conditions.
fn healthy(mut status: ObjectStatus, health: &[(String, Health)]) -> ObjectStatus {
    if status.kind != "Plugin" {
        return status;
    }
    let name = path(&status);
    for (_, health) in health.iter().filter(|(plugin, _)| *plugin == name) {
        match health {
            Health::CrashLoop => status.set_condition(
                "Healthy",
                false,
                "CrashLoopBackOff",
                "it fails again and again; its starts are delayed, and it recovers by itself with the first call that ends well",
            ),
            Health::Shadow(summary) => status.set_condition("Shadowed", true, "Comparing", summary),
            Health::Background(why) => status.set_condition("Working", false, "BackgroundFailing", why),
            Health::Stale(why) => status.set_condition("Fresh", false, "FetchFailed", why),
        }
    }
    status
}

/// What failed, for people.
fn said(document: &Document, failures: &[Failure]) -> Vec<String> {
    let said = failures
        .iter()
        .map(|failure| format!("Gateway {}: {failure}", document.gateway));
    said.collect()
}

fn path(status: &ObjectStatus) -> String {
    match &status.metadata.namespace {
        Some(namespace) => format!("{namespace}/{}", status.metadata.name),
        None => status.metadata.name.clone(),
    }
}

/// Marks the listeners of a Gateway whose address could not be bound.
fn unusable(status: &mut ObjectStatus, document: &Document, address: SocketAddr, message: &str) {
    let affected = document.listeners.iter().filter(|it| it.port == address.port());
    for listener in affected.filter_map(|it| it.name.rsplit('/').next()) {
        status.set_listener_condition(listener, "Programmed", false, "AddressNotUsable", message);
    }
}

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
use weir_gateway::{Builtins, Failure, Gateway, Subject};
use weir_model::PluginSource;
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
    fleet: FleetConfig,
    gateways: BTreeMap<String, Running>,
    plugin_files: Vec<PathBuf>,
    objects: Vec<ObjectStatus>,
    complaints: Vec<String>,
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
        fleet: FleetConfig,
        grace: Duration,
        view: watch::Sender<View>,
    ) -> Self {
        Self {
            runtime,
            builtins: plugins::builtins(),
            fleet,
            gateways: BTreeMap::new(),
            plugin_files: Vec::new(),
            objects: Vec::new(),
            complaints: Vec::new(),
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
                self.plugin_files.clear();
                self.stop_removed().await;
                for document in &translated.output.documents {
                    problems.extend(self.apply(document).await);
                }
                if translated.output.documents.is_empty() {
                    problems
                        .push("no Gateway of weir.dev/gateway-controller here can be programmed".to_owned());
                }
                self.complain();
            }
            Err(mistakes) => problems = mistakes,
        }
        self.publish(&problems);
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
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

    /// Makes one Gateway's document live; returns what keeps it from that.
    async fn apply(&mut self, document: &Document) -> Vec<String> {
        let snapshot = match weir_config::lower(document) {
            Ok(snapshot) => snapshot,
            Err(diagnostics) => {
                return diagnostics
                    .iter()
                    .map(|it| format!("Gateway {}: {it}", document.gateway))
                    .collect();
            }
        };
        self.plugin_files
            .extend(snapshot.plugins.iter().filter_map(|plugin| match &plugin.source {
                PluginSource::File(path) => Some(path.clone()),
                PluginSource::Builtin(_) => None,
            }));
        let listeners: Vec<SocketAddr> = snapshot
            .listeners
            .iter()
            .map(|it| SocketAddr::new(it.address, it.port))
            .collect();
        let plugins: Vec<String> = snapshot.plugins.iter().map(|it| it.name.clone()).collect();
        let revision = snapshot.revision;
        let running = match self.running(document) {
            Ok(running) => running,
            Err(error) => {
                return vec![format!(
                    "Gateway {}: cannot start workers: {error}",
                    document.gateway
                )];
            }
        };
        match running.gateway.apply(snapshot).await {
            Ok(changed) => {
                running.document = document.to_yaml().unwrap_or_default();
                running.addresses = listeners
                    .iter()
                    .filter_map(|it| running.gateway.bound(*it))
                    .collect();
                running.addresses.sort_unstable();
                running.addresses.dedup();
                if changed {
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
                Vec::new()
            }
            Err(failures) => {
                let live = running.gateway.live();
                let kept = live.map_or_else(
                    || "nothing is served yet".to_owned(),
                    |it| format!("revision {it} stays"),
                );
                self.refused(document, &failures, &kept);
                failures
                    .iter()
                    .map(|failure| format!("Gateway {}: {failure}", document.gateway))
                    .collect()
            }
        }
    }

    fn running(&mut self, document: &Document) -> std::io::Result<&mut Running> {
        match self.gateways.entry(document.gateway.clone()) {
            std::collections::btree_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::btree_map::Entry::Vacant(slot) => {
                let gateway =
                    Gateway::start(&self.fleet, Arc::clone(&self.runtime), Arc::clone(&self.builtins))?;
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
            for Failure { subject, message } in failures {
                let blame = format!("{message}; {kept}");
                match subject {
                    Subject::Plugin(plugin) if status.kind == "Plugin" && *plugin == name => {
                        status.set_condition("Programmed", false, "LoadFailed", &blame);
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

    fn publish(&mut self, problems: &[String]) {
        let mut objects: Vec<_> = self
            .objects
            .iter()
            .filter_map(|status| serde_json::to_value(status).ok())
            .collect();
        self.transitions.stamp(&mut objects, SystemTime::now());
        let gateways = self.gateways.iter().map(|(name, running)| GatewayReport {
            name: name.clone(),
            revision: running.gateway.live().map(|it| it.to_string()),
            addresses: running.addresses.iter().map(ToString::to_string).collect(),
        });
        let report = StatusReport {
            gateways: gateways.collect(),
            problems: problems.to_vec(),
            objects,
        };
        let documents = self.gateways.values().map(|it| format!("---\n{}", it.document));
        self.view.send_replace(View {
            ready: self.gateways.values().any(|it| it.gateway.live().is_some()),
            status: serde_json::to_string_pretty(&report).unwrap_or_default().into(),
            config: documents.collect::<String>().into(),
        });
    }
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

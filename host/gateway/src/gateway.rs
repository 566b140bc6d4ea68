//! One running gateway: its fleet, and what is loaded for it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use weir_filter::FailureReason;
use weir_model::{Revision, Snapshot};
use weir_proxy::{Fleet, FleetConfig, Plan};
use weir_runtime::Runtime;

use crate::background::{BackgroundHealth, BackgroundTask, BackgroundThread};
use crate::prepare::{Begin, MadeOf, Prepared, Supply, prepare};
use crate::source::Arrived;
use crate::{Builtins, Failure, Subject};

/// A gateway that serves the last snapshot that could go live.
#[derive(Debug)]
pub struct Gateway {
    fleet: Fleet,
    runtime: Arc<Runtime>,
    builtins: Arc<Builtins>,
    prepared: Arc<Prepared>,
    live: Option<Revision>,
    /// Every plugin has been there once; a later one that is being fetched takes nothing back.
    was_ready: bool,
    background: Arc<BackgroundThread>,
    /// Work that goes on beside the live filters.
    tasks: Vec<(MadeOf, BackgroundTask)>,
}

impl Gateway {
    /// Starts the workers; nothing is served before the first [`Gateway::apply`].
    ///
    /// # Errors
    /// When a worker cannot be started.
    pub fn start(
        config: &FleetConfig,
        runtime: Arc<Runtime>,
        builtins: Arc<Builtins>,
        background: Arc<BackgroundThread>,
    ) -> io::Result<Self> {
        Ok(Self {
            fleet: Fleet::start(config)?,
            runtime,
            builtins,
            prepared: Arc::default(),
            live: None,
            was_ready: false,
            background,
            tasks: Vec::new(),
        })
    }

    /// Makes a snapshot live: loads what it names, builds its plan and swaps. Plugin files are read again, and
    /// `arrived` may hold newer bytes, so the same snapshot may go live with new plugins.
    ///
    /// A filter that cannot be made keeps its last good generation, or fails its exchanges; the failures say so.
    ///
    /// # Errors
    /// When nothing is live yet and something failed for good, or a listener cannot be bound: then nothing changed.
    pub async fn apply(&mut self, snapshot: Snapshot, arrived: Arrived) -> Result<Applied, Vec<Failure>> {
        let snapshot = Arc::new(snapshot);
        let (prepared, begin) = self.prepare(Arc::clone(&snapshot), arrived).await?;
        let failures = prepared.failures.clone();
        if self.live.is_none() && failures.iter().any(|it| !it.is_pending) {
            return Err(failures);
        }
        let is_new = self.live != Some(snapshot.revision) || !prepared.same_filters(&self.prepared);
        if is_new {
            let plan = Arc::new(Plan::build(&snapshot, &prepared.in_order));
            let begun = self.begin(&plan, begin).await;
            self.fleet.apply(plan).await.map_err(|error| {
                vec![Failure {
                    subject: Subject::Listener(error.address),
                    reason: FailureReason::Load,
                    message: error.source.to_string(),
                    is_pending: false,
                }]
            })?;
            self.tasks.extend(begun);
            self.tasks.retain(|(made_of, _)| prepared.lives(made_of));
        }
        self.prepared = Arc::new(prepared);
        self.live = Some(snapshot.revision);
        self.was_ready |= !failures.iter().any(|it| it.is_pending);
        Ok(Applied { is_new, failures })
    }

    /// Begins background work and waits for its first calls, so that filters find what it provides, such as keys.
    async fn begin(&self, plan: &Arc<Plan>, backgrounds: Begin) -> Vec<(MadeOf, BackgroundTask)> {
        if backgrounds.is_empty() {
            return Vec::new();
        }
        self.fleet.prepare(plan).await;
        let mut begun = Vec::with_capacity(backgrounds.len());
        for (made_of, background) in backgrounds {
            begun.push((
                made_of,
                self.background.begin(background, self.fleet.callouts()).await,
            ));
        }
        for (_, task) in &mut begun {
            task.started().await;
        }
        begun
    }

    /// The revision that is served.
    pub const fn live(&self) -> Option<Revision> {
        self.live
    }

    /// What runs for a plugin, for people: digest and imports of each version. A version that was loaded and that its
    /// filters refused is not among them while an older one runs in its place.
    pub fn plugin(&self, name: &str) -> Option<String> {
        let versions = self.prepared.versions().into_iter();
        let mut versions: Vec<String> = versions
            .filter(|it| it.name == name)
            .map(|it| it.to_string())
            .collect();
        versions.dedup();
        (!versions.is_empty()).then(|| versions.join("; "))
    }

    /// True when it serves, and has once had every plugin that its snapshot named.
    pub const fn is_ready(&self) -> bool {
        self.live.is_some() && self.was_ready
    }

    /// How plugins fare, by the plugin's name: what a status should say beside `Programmed`.
    pub fn health(&self) -> Vec<(String, Health)> {
        let versions = self.prepared.versions();
        let looping = versions.iter().filter(|it| it.loaded.is_crash_looping());
        let mut looping: Vec<_> = looping.map(|it| it.name.to_owned()).collect();
        looping.dedup();
        let mut health: Vec<_> = looping.into_iter().map(|it| (it, Health::CrashLoop)).collect();
        let shadows = self.prepared.shadows();
        health.extend(shadows.map(|(name, it)| (name.to_owned(), Health::Shadow(it.summary()))));
        for (_, task) in &self.tasks {
            if let failing @ BackgroundHealth::Failing { .. } = task.health() {
                health.push((task.plugin().to_owned(), Health::Background(failing.to_string())));
            }
        }
        let mut names: Vec<_> = versions.iter().map(|it| it.name).collect();
        names.dedup();
        for name in names {
            if let Some(why) = self.prepared.staleness(name) {
                health.push((name.to_owned(), Health::Stale(why.to_owned())));
            }
        }
        health
    }

    /// The address really bound for a listener's configured one.
    pub fn bound(&self, configured: SocketAddr) -> Option<SocketAddr> {
        self.fleet.bound(configured)
    }

    /// Stops accepting; when this returns, the sockets are closed. What is in flight goes on.
    pub async fn close(&mut self) {
        // A plan without listeners binds nothing, so it cannot fail.
        let _ = self.fleet.apply(Arc::new(Plan::empty())).await;
        self.live = None;
    }

    /// Stops accepting, lets exchanges in flight end within `grace`, and ends.
    pub async fn drain(self, grace: Duration) {
        self.fleet.drain(grace).await;
    }

    async fn prepare(
        &self,
        snapshot: Arc<Snapshot>,
        arrived: Arrived,
    ) -> Result<(Prepared, Begin), Vec<Failure>> {
        let (runtime, builtins) = (Arc::clone(&self.runtime), Arc::clone(&self.builtins));
        let previous = Arc::clone(&self.prepared);
        let work = tokio::task::spawn_blocking(move || {
            let supply = Supply {
                runtime: &runtime,
                builtins: &builtins,
                arrived: &arrived,
            };
            prepare(&snapshot, &supply, &previous)
        });
        work.await.map_err(|error| {
            vec![Failure {
                subject: Subject::Plugin("?".to_owned()),
                reason: FailureReason::Load,
                message: format!("loading ended by a panic: {error}"),
                is_pending: false,
            }]
        })
    }
}

/// A snapshot that went live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Something changed.
    pub is_new: bool,
    /// What of it is not as the snapshot asks for.
    pub failures: Vec<Failure>,
}

/// Something about a plugin that runs and is not as it should be, or not alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It fails again and again, so its starts are delayed.
    CrashLoop,
    /// A newer generation runs beside it; how they compare.
    Shadow(String),
    /// Its background work fails; how often and why.
    Background(String),
    /// Its source cannot be asked for newer bytes; why.
    Stale(String),
}

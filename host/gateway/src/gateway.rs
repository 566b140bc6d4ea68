//! One running gateway: its fleet, and what is loaded for it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use weir_model::{Revision, Snapshot};
use weir_proxy::{Fleet, FleetConfig, Plan};
use weir_runtime::Runtime;

use crate::prepare::{Prepared, prepare};
use crate::{Builtins, Failure, Subject};

/// A gateway that serves the last snapshot that could go live.
#[derive(Debug)]
pub struct Gateway {
    fleet: Fleet,
    runtime: Arc<Runtime>,
    builtins: Arc<Builtins>,
    prepared: Arc<Prepared>,
    live: Option<Revision>,
}

impl Gateway {
    /// Starts the workers; nothing is served before the first [`Gateway::apply`].
    ///
    /// # Errors
    /// When a worker cannot be started.
    pub fn start(config: &FleetConfig, runtime: Arc<Runtime>, builtins: Arc<Builtins>) -> io::Result<Self> {
        Ok(Self {
            fleet: Fleet::start(config)?,
            runtime,
            builtins,
            prepared: Arc::default(),
            live: None,
        })
    }

    /// Makes a snapshot live: loads what it names, builds its plan and swaps. Plugin files are read again,
    /// so the same snapshot may go live with new plugin bytes. True when something changed.
    ///
    /// # Errors
    /// Everything that failed; the last good snapshot stays live, whole.
    pub async fn apply(&mut self, snapshot: Snapshot) -> Result<bool, Vec<Failure>> {
        let snapshot = Arc::new(snapshot);
        let prepared = self.prepare(Arc::clone(&snapshot)).await?;
        if self.live == Some(snapshot.revision) && prepared.same_contents(&self.prepared) {
            return Ok(false);
        }
        let plan = Arc::new(Plan::build(&snapshot, &prepared.in_order));
        self.fleet.apply(plan).await.map_err(|error| {
            let message = error.source.to_string();
            vec![Failure {
                subject: Subject::Listener(error.address),
                message,
            }]
        })?;
        self.prepared = Arc::new(prepared);
        self.live = Some(snapshot.revision);
        Ok(true)
    }

    /// The revision that is served.
    pub const fn live(&self) -> Option<Revision> {
        self.live
    }

    /// What runs for a plugin, for people: its digest and its imports.
    pub fn plugin(&self, name: &str) -> Option<String> {
        let (_, loaded) = self.prepared.plugins().find(|(known, _)| *known == name)?;
        let imports = loaded.imports().collect::<Vec<_>>().join(", ");
        Some(format!("{} runs; it imports {imports}", loaded.digest()))
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

    async fn prepare(&self, snapshot: Arc<Snapshot>) -> Result<Prepared, Vec<Failure>> {
        let (runtime, builtins) = (Arc::clone(&self.runtime), Arc::clone(&self.builtins));
        let previous = Arc::clone(&self.prepared);
        let work = tokio::task::spawn_blocking(move || prepare(&snapshot, &runtime, &builtins, &previous));
        work.await.unwrap_or_else(|error| {
            let subject = Subject::Plugin("?".to_owned());
            Err(vec![Failure {
                subject,
                message: format!("loading ended by a panic: {error}"),
            }])
        })
    }
}

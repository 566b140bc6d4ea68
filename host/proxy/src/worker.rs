//! One core's share of the data path: a thread with its own runtime, sockets, connections and plan.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use weir_filter::Callouts;
use weir_model::ClusterIndex;

use crate::callout::WorkerCallouts;
use crate::connection::Connections;
use crate::listener;
use crate::plan::Plan;
use crate::upstream::{Pool, Pools};

/// The period of the sweep, and the unit of the timeouts it enforces.
const TICK: Duration = Duration::from_secs(1);

/// Header maps kept for the next response.
const MAX_SPARE_MAPS: usize = 128;

/// The most fields that a map worth keeping has room for.
const MAX_SPARE_FIELDS: usize = 64;

/// What a fleet asks of a worker.
pub(crate) enum Command {
    /// Serve by this plan from now on; `opened` are the sockets that it adds.
    Apply {
        plan: Arc<Plan>,
        opened: Vec<(SocketAddr, StdListener)>,
        done: oneshot::Sender<()>,
    },
    /// Stop accepting, finish what is in flight within `grace`, and end.
    Drain { grace: Duration },
}

/// Timeouts in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the next request.
    pub(crate) idle: u32,
    /// For an endpoint's response head, after the last piece of the request's body.
    pub(crate) response: u32,
    /// For the next piece of a body, in either direction.
    pub(crate) stall: u32,
}

/// The state of a worker; everything here belongs to one thread.
pub(crate) struct Worker {
    plan: RefCell<Rc<WorkerPlan>>,
    pools: Pools,
    callouts: Arc<WorkerCallouts>,
    pub(crate) connections: Connections,
    /// What outlives its connection: log phases that wait.
    pub(crate) endings: TaskTracker,
    /// Empty maps of ended exchanges, with their room.
    spare_maps: RefCell<Vec<HeaderMap>>,
    random: RefCell<fastrand::Rng>,
    tick: Cell<u32>,
    connection: Cell<u64>,
    connection_step: u64,
}

/// A plan with this worker's live handles for it.
pub(crate) struct WorkerPlan {
    plan: Arc<Plan>,
    clusters: Vec<WorkerCluster>,
}

/// A cluster's pools on this worker.
pub(crate) struct WorkerCluster {
    pub(crate) name: Arc<str>,
    pools: Vec<Rc<Pool>>,
    next: Cell<usize>,
}

impl Worker {
    /// Connection ids are `index`, `index + workers`, …: unique in the process without sharing a counter.
    pub(crate) fn new(index: usize, workers: usize, callouts: Arc<WorkerCallouts>) -> Self {
        let plan = WorkerPlan {
            plan: Arc::new(Plan::empty()),
            clusters: Vec::new(),
        };
        Self {
            plan: RefCell::new(Rc::new(plan)),
            pools: Pools::default(),
            callouts,
            connections: Connections::default(),
            endings: TaskTracker::new(),
            spare_maps: RefCell::default(),
            random: RefCell::new(fastrand::Rng::new()),
            tick: Cell::new(0),
            connection: Cell::new(index as u64),
            connection_step: workers as u64,
        }
    }

    /// The current plan.
    pub(crate) fn plan(&self) -> Rc<WorkerPlan> {
        Rc::clone(&self.plan.borrow())
    }

    /// The way to backends, for filters.
    pub(crate) fn callouts(&self) -> Arc<dyn Callouts> {
        Arc::clone(&self.callouts) as _
    }

    /// A point in `0..bound`.
    pub(crate) fn random(&self, bound: u64) -> u64 {
        self.random.borrow_mut().u64(0..bound.max(1))
    }

    /// An empty map to fill, with room where there is one.
    pub(crate) fn spare_map(&self) -> HeaderMap {
        self.spare_maps.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a map back; large ones are not worth keeping.
    pub(crate) fn recycle(&self, mut map: HeaderMap) {
        let mut spare = self.spare_maps.borrow_mut();
        if spare.len() < MAX_SPARE_MAPS && (1..=MAX_SPARE_FIELDS).contains(&map.capacity()) {
            map.clear();
            spare.push(map);
        }
    }

    /// Seconds since the worker started, coarsely.
    pub(crate) fn tick(&self) -> u32 {
        self.tick.get()
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.connection
            .replace(self.connection.get() + self.connection_step)
    }

    fn sweep(&self, patience: Patience) {
        self.tick.set(self.tick.get().wrapping_add(1));
        self.pools.sweep();
        self.connections.sweep(self.tick(), patience);
    }

    fn apply(&self, plan: Arc<Plan>) {
        let clusters = plan.clusters().iter().map(|cluster| WorkerCluster {
            name: Arc::clone(&cluster.name),
            pools: cluster
                .endpoints
                .iter()
                .map(|endpoint| self.pools.get(endpoint))
                .collect(),
            // Not the first: a new plan must not send every worker's next request to one endpoint.
            next: Cell::new(self.random(cluster.endpoints.len() as u64) as usize),
        });
        let clusters = clusters.collect();
        *self.plan.borrow_mut() = Rc::new(WorkerPlan { plan, clusters });
    }
}

impl WorkerPlan {
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn cluster(&self, ClusterIndex(index): ClusterIndex) -> Option<&WorkerCluster> {
        self.clusters.get(index)
    }

    pub(crate) fn cluster_named(&self, name: &str) -> Option<&WorkerCluster> {
        self.cluster(self.plan.cluster_named(name)?)
    }
}

impl WorkerCluster {
    /// The next endpoint in turn; `None` when there is none.
    pub(crate) fn next(&self) -> Option<Rc<Pool>> {
        let at = self.next.get();
        let pool = self.pools.get(at).or_else(|| self.pools.first())?;
        self.next.set(if at + 1 < self.pools.len() { at + 1 } else { 0 });
        Some(Rc::clone(pool))
    }
}

/// Runs a worker until it is told to drain or its fleet is gone.
pub(crate) async fn run(worker: Rc<Worker>, patience: Patience, mut commands: mpsc::Receiver<Command>) {
    let mut accepting: HashMap<SocketAddr, JoinHandle<()>> = HashMap::new();
    let mut ticks = tokio::time::interval(TICK);
    let grace = loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Apply { plan, opened, done }) => {
                    apply(&worker, &mut accepting, plan, opened).await;
                    // A fleet that no longer waits has nothing to learn.
                    let _ = done.send(());
                }
                Some(Command::Drain { grace }) => break grace,
                None => break Duration::ZERO,
            },
            _ = ticks.tick() => worker.sweep(patience),
        }
    };
    for task in accepting.into_values() {
        close(task).await;
    }
    worker.connections.drain(None);
    worker.endings.close();
    let emptied = async {
        worker.connections.emptied().await;
        worker.endings.wait().await;
    };
    let emptied = async {
        let mut emptied = pin!(emptied);
        loop {
            tokio::select! {
                () = &mut emptied => return,
                // Stalled exchanges end by their own deadlines, not only by the grace period.
                _ = ticks.tick() => worker.sweep(patience),
            }
        }
    };
    if tokio::time::timeout(grace, emptied).await.is_err() {
        tracing::warn!("grace period over: connections are cut");
    }
}

/// Swaps the plan first, so that a socket that opens finds its listeners there. When this returns, sockets
/// that the plan no longer names are closed and may be bound again.
async fn apply(
    worker: &Rc<Worker>,
    accepting: &mut HashMap<SocketAddr, JoinHandle<()>>,
    plan: Arc<Plan>,
    opened: Vec<(SocketAddr, StdListener)>,
) {
    let removed: Vec<SocketAddr> = accepting
        .keys()
        .filter(|it| plan.socket(**it).is_none())
        .copied()
        .collect();
    worker.apply(plan);
    for address in removed {
        if let Some(task) = accepting.remove(&address) {
            close(task).await;
            worker.connections.drain(Some(address));
        }
    }
    for (address, listener) in opened {
        match TcpListener::from_std(listener) {
            Ok(listener) => {
                let task = tokio::task::spawn_local(listener::accept(Rc::clone(worker), address, listener));
                accepting.insert(address, task);
            }
            Err(error) => tracing::error!(%address, %error, "cannot accept"),
        }
    }
}

/// Ends an accepting task, and waits until its socket is closed.
async fn close(task: JoinHandle<()>) {
    task.abort();
    // Cancelled, as it was told.
    let _ = task.await;
}

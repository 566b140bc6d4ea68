//! The workers of a gateway, as one thing that plans are applied to.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};
use weir_filter::Callouts;

use crate::callout::{self, WorkerCallouts};
use crate::listener;
use crate::plan::Plan;
use crate::worker::{self, Command, Patience, Worker};

/// How a fleet is set up.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// Worker threads; one per core is the right number.
    pub workers: usize,
    /// How long a client connection may wait for its next request. In whole seconds, at least one.
    pub idle_timeout: Duration,
    /// How long an endpoint may take until its response head, counted from the last piece of the request's
    /// body. In whole seconds, at least one.
    pub response_timeout: Duration,
    /// How long a body may make no progress, in either direction. In whole seconds, at least one.
    pub stall_timeout: Duration,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            idle_timeout: Duration::from_secs(60),
            response_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(300),
        }
    }
}

/// A listener's address that cannot be bound. The plan that named it was not applied.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    /// The configured address.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// All workers. Dropping a fleet ends them at once; [`Fleet::drain`] ends them gently.
#[derive(Debug)]
pub struct Fleet {
    workers: Vec<Handle>,
    /// A worker without sockets, for callouts that belong to no request.
    aside: Handle,
    live: Arc<Plan>,
    /// Configured address → the address really bound.
    bound: Addresses,
}

type Addresses = HashMap<SocketAddr, SocketAddr>;

/// Sockets that a worker starts to accept on.
type Opened = Vec<(SocketAddr, StdListener)>;

#[derive(Debug)]
struct Handle {
    commands: mpsc::Sender<Command>,
    callouts: Arc<WorkerCallouts>,
    thread: Option<JoinHandle<()>>,
}

impl Fleet {
    /// Starts the workers, with an empty plan.
    ///
    /// # Errors
    /// When a thread or its runtime cannot be made.
    pub fn start(config: &FleetConfig) -> io::Result<Self> {
        let patience = Patience {
            idle: ticks(config.idle_timeout),
            response: ticks(config.response_timeout),
            stall: ticks(config.stall_timeout),
        };
        let count = config.workers.max(1);
        let workers = (0..count)
            .map(|index| spawn(format!("worker-{index}"), index, count, patience))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            workers,
            aside: spawn("callouts".to_owned(), count, count + 1, patience)?,
            live: Arc::new(Plan::empty()),
            bound: HashMap::new(),
        })
    }

    /// The way to backends for what works beside requests, such as refreshing keys.
    ///
    /// It has a thread of its own with its own connections, like a worker without sockets: it takes no time of the
    /// workers, and knows the clusters of a plan from [`Fleet::prepare`] on, before the plan serves requests.
    pub fn callouts(&self) -> Arc<dyn Callouts> {
        Arc::clone(&self.aside.callouts) as _
    }

    /// Makes the clusters of a plan known to [`Fleet::callouts`], before it is applied. A plan that cannot be applied
    /// is forgotten there too.
    pub async fn prepare(&self, plan: &Arc<Plan>) {
        let Some(applied) = self.aside.apply(Arc::clone(plan), Vec::new()).await else {
            return;
        };
        if applied.await.is_err() {
            tracing::error!("the thread for callouts has ended: background work reaches no backend");
        }
    }

    /// Serves by this plan from now on. Sockets that both plans name are not touched; exchanges in flight
    /// end by the plan they began with.
    ///
    /// # Errors
    /// When a new socket cannot be bound; then nothing has changed.
    pub async fn apply(&mut self, plan: Arc<Plan>) -> Result<(), BindError> {
        let (opened, bound) = match self.bind(&plan) {
            Ok(bound) => bound,
            Err(error) => {
                self.prepare(&self.live).await;
                return Err(error);
            }
        };
        self.prepare(&plan).await;
        let mut pending = Vec::new();
        for (worker, opened) in self.workers.iter().zip(opened) {
            match worker.apply(Arc::clone(&plan), opened).await {
                Some(applied) => pending.push(applied),
                None => tracing::error!("a worker has ended: its share of the traffic is not served"),
            }
        }
        for applied in pending {
            if applied.await.is_err() {
                tracing::error!("a worker has ended: its share of the traffic is not served");
            }
        }
        self.bound = bound;
        self.live = plan;
        Ok(())
    }

    /// The address really bound for a configured one.
    pub fn bound(&self, configured: SocketAddr) -> Option<SocketAddr> {
        self.bound.get(&configured).copied()
    }

    /// Binds what a plan adds: the new sockets of each worker, and all addresses of the plan.
    fn bind(&self, plan: &Plan) -> Result<(Vec<Opened>, Addresses), BindError> {
        let mut opened: Vec<Opened> = self.workers.iter().map(|_| Vec::new()).collect();
        let mut bound = HashMap::new();
        for address in plan.addresses() {
            if let Some(known) = self.bound.get(&address) {
                bound.insert(address, *known);
                continue;
            }
            let failed = |source| BindError { address, source };
            let sockets = listener::bind(address, self.workers.len()).map_err(failed)?;
            if let Some(socket) = sockets.first() {
                bound.insert(address, socket.local_addr().map_err(failed)?);
            }
            for (mine, socket) in opened.iter_mut().zip(sockets) {
                mine.push((address, socket));
            }
        }
        Ok((opened, bound))
    }

    /// Stops accepting, lets exchanges in flight end within `grace`, and ends the workers.
    pub async fn drain(mut self, grace: Duration) {
        for worker in self.workers.iter().chain([&self.aside]) {
            let _ = worker.commands.send(Command::Drain { grace }).await;
        }
        let threads: Vec<_> = self
            .workers
            .iter_mut()
            .chain([&mut self.aside])
            .filter_map(|worker| worker.thread.take())
            .collect();
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().filter_map(|it| it.join().err()).count());
        if joined.await.unwrap_or(1) > 0 {
            tracing::error!("a worker ended by a panic");
        }
    }
}

impl Handle {
    /// Hands a plan to the worker; the answer comes when it serves by it. `None` when it has ended.
    async fn apply(&self, plan: Arc<Plan>, opened: Opened) -> Option<oneshot::Receiver<()>> {
        let (done, applied) = oneshot::channel();
        let command = Command::Apply { plan, opened, done };
        self.commands.send(command).await.ok().map(|()| applied)
    }
}

fn spawn(name: String, index: usize, workers: usize, patience: Patience) -> io::Result<Handle> {
    let (commands, receiver) = mpsc::channel(4);
    let (callouts, queue) = WorkerCallouts::new();
    let (ready, started) = sync_channel(1);
    let own = Arc::clone(&callouts);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        // A runtime of this kind cannot leave the thread it was made on, so its error travels instead.
        match Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
        {
            Ok(runtime) => {
                let _ = ready.send(Ok(()));
                let worker = Rc::new(Worker::new(index, workers, own));
                runtime.spawn_local(callout::run(Rc::clone(&worker), queue));
                runtime.block_on(worker::run(worker, patience, receiver));
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    })?;
    started.recv().map_err(io::Error::other)??;
    Ok(Handle {
        commands,
        callouts,
        thread: Some(thread),
    })
}

fn ticks(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX - 2).max(1)
}

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
    /// Configured address → the address really bound.
    bound: HashMap<SocketAddr, SocketAddr>,
}

#[derive(Debug)]
struct Handle {
    commands: mpsc::Sender<Command>,
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
            .map(|index| spawn(index, count, patience))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            workers,
            bound: HashMap::new(),
        })
    }

    /// Serves by this plan from now on. Sockets that both plans name are not touched; exchanges in flight
    /// end by the plan they began with.
    ///
    /// # Errors
    /// When a new socket cannot be bound; then nothing has changed.
    pub async fn apply(&mut self, plan: Arc<Plan>) -> Result<(), BindError> {
        let mut opened: Vec<Vec<(SocketAddr, StdListener)>> =
            self.workers.iter().map(|_| Vec::new()).collect();
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
        let mut pending = Vec::new();
        for (worker, opened) in self.workers.iter().zip(opened) {
            let (done, applied) = oneshot::channel();
            let command = Command::Apply {
                plan: Arc::clone(&plan),
                opened,
                done,
            };
            match worker.commands.send(command).await {
                Ok(()) => pending.push(applied),
                Err(_) => tracing::error!("a worker has ended: its share of the traffic is not served"),
            }
        }
        for applied in pending {
            if applied.await.is_err() {
                tracing::error!("a worker has ended: its share of the traffic is not served");
            }
        }
        self.bound = bound;
        Ok(())
    }

    /// The address really bound for a configured one.
    pub fn bound(&self, configured: SocketAddr) -> Option<SocketAddr> {
        self.bound.get(&configured).copied()
    }

    /// Stops accepting, lets exchanges in flight end within `grace`, and ends the workers.
    pub async fn drain(mut self, grace: Duration) {
        for worker in &self.workers {
            let _ = worker.commands.send(Command::Drain { grace }).await;
        }
        let threads: Vec<_> = self
            .workers
            .iter_mut()
            .filter_map(|worker| worker.thread.take())
            .collect();
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().filter_map(|it| it.join().err()).count());
        if joined.await.unwrap_or(1) > 0 {
            tracing::error!("a worker ended by a panic");
        }
    }
}

fn spawn(index: usize, workers: usize, patience: Patience) -> io::Result<Handle> {
    let (commands, receiver) = mpsc::channel(4);
    let (ready, started) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || {
            // A runtime of this kind cannot leave the thread it was made on, so its error travels instead.
            match Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())
            {
                Ok(runtime) => {
                    let _ = ready.send(Ok(()));
                    runtime.block_on(worker::run(
                        Rc::new(Worker::new(index, workers)),
                        patience,
                        receiver,
                    ));
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        })?;
    started.recv().map_err(io::Error::other)??;
    Ok(Handle {
        commands,
        thread: Some(thread),
    })
}

fn ticks(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX - 2).max(1)
}

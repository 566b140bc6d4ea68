//! Background work: one thread on which components do what they do on their own time, such as refreshing keys.
//!
//! Decides when they are called and what a failure does; what a call is, the runtime knows. Never on a worker.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot, watch};
use weir_filter::{Callouts, FailureReason};
use weir_runtime::Background;

/// The wait after a first failure, and the longest; it doubles in between.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// Jobs that wait to be taken; the thread takes them at once, between the turns of others.
const MAX_QUEUED: usize = 16;

/// The thread for all background work of a process. It ends when this and its tasks are gone.
#[derive(Clone)]
pub struct BackgroundThread {
    jobs: mpsc::Sender<Job>,
}

/// Work that goes on until this is dropped.
#[derive(Debug)]
pub struct BackgroundTask {
    plugin: String,
    filter: String,
    health: watch::Receiver<BackgroundHealth>,
    /// Dropping it ends the work.
    _stop: oneshot::Sender<()>,
}

/// How background work is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackgroundHealth {
    /// Its first call is not over.
    Starting,
    /// Its last call ended well.
    Well,
    /// It wants no further call.
    Over,
    /// It fails, and is tried again.
    Failing {
        /// Failures in a row.
        failures: u32,
        /// The kind of the last one.
        reason: FailureReason,
        /// More about it.
        message: String,
    },
}

struct Job {
    background: Background,
    callouts: Arc<dyn Callouts>,
    health: watch::Sender<BackgroundHealth>,
    stop: oneshot::Receiver<()>,
}

impl BackgroundThread {
    /// Starts the thread; it sleeps while there is nothing to do.
    ///
    /// # Errors
    /// When the thread or its runtime cannot be made.
    pub fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(MAX_QUEUED);
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        thread::Builder::new()
            .name("background".to_owned())
            .spawn(move || {
                // A runtime of this kind cannot leave the thread it was made on, so its error travels instead.
                match Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default())
                {
                    Ok(runtime) => {
                        let _ = ready.send(Ok(()));
                        runtime.block_on(run(queue));
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            })?;
        started.recv().map_err(io::Error::other)??;
        Ok(Self { jobs })
    }

    /// Starts work: it is called at once, and then as it wishes. `callouts` is its way to backends.
    pub async fn begin(&self, background: Background, callouts: Arc<dyn Callouts>) -> BackgroundTask {
        let (told, health) = watch::channel(BackgroundHealth::Starting);
        let (stop, stopped) = oneshot::channel();
        let task = BackgroundTask {
            plugin: background.plugin().to_owned(),
            filter: background.filter().to_owned(),
            health,
            _stop: stop,
        };
        let job = Job {
            background,
            callouts,
            health: told,
            stop: stopped,
        };
        if self.jobs.send(job).await.is_err() {
            tracing::error!(
                plugin = task.plugin,
                filter = task.filter,
                "the background thread has ended"
            );
        }
        task
    }
}

impl fmt::Debug for BackgroundThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackgroundThread")
    }
}

impl BackgroundTask {
    /// The plugin's name.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// The name of the filter that it works for.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// How it is now.
    pub fn health(&self) -> BackgroundHealth {
        self.health.borrow().clone()
    }

    /// Waits until the first call is over, well or not; it takes no longer than a call may. Filters go live after it.
    pub async fn started(&mut self) {
        // An error says that the thread has ended, which is logged: nothing will come any more.
        let _ = self.health.wait_for(|it| *it != BackgroundHealth::Starting).await;
    }
}

impl fmt::Display for BackgroundHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Well => f.write_str("well"),
            Self::Over => f.write_str("over"),
            Self::Failing {
                failures,
                reason,
                message,
            } => {
                // A backtrace is the log's matter.
                let message = message.lines().next().unwrap_or_default();
                write!(f, "failing, {failures} times in a row: {reason}: {message}")
            }
        }
    }
}

/// Starts jobs until nobody can give one any more, and lets those that run end with their tasks.
async fn run(mut queue: mpsc::Receiver<Job>) {
    let mut jobs = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            job = queue.recv() => match job {
                Some(job) => { jobs.spawn_local(job.run()); }
                None => break,
            },
            Some(ended) = jobs.join_next() => report(ended),
        }
    }
    while let Some(ended) = jobs.join_next().await {
        report(ended);
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "background work ended by a panic");
    }
}

impl Job {
    /// Works until the task is dropped or the work wants no further call.
    async fn run(self) {
        let Self {
            mut background,
            callouts,
            health,
            mut stop,
        } = self;
        let mut failures = 0;
        loop {
            let turn = background.on_timer(Some(Arc::clone(&callouts)));
            let pause = tokio::select! {
                // Its sender is only ever dropped.
                _ = &mut stop => return,
                turned = turn => match turned {
                    Ok(Some(pause)) => {
                        failures = 0;
                        health.send_replace(BackgroundHealth::Well);
                        pause
                    }
                    Ok(None) => {
                        health.send_replace(BackgroundHealth::Over);
                        return;
                    }
                    Err(error) => {
                        failures += 1;
                        let pause = retry(failures);
                        tracing::warn!(
                            plugin = background.plugin(),
                            filter = error.filter,
                            reason = %error.reason,
                            error = error.message,
                            again_in = ?pause,
                            "background work failed"
                        );
                        health.send_replace(BackgroundHealth::Failing {
                            failures,
                            reason: error.reason,
                            message: error.message,
                        });
                        pause
                    }
                },
            };
            tokio::select! {
                _ = &mut stop => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

/// The wait after so many failures in a row.
fn retry(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1);
    FIRST_RETRY
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(LAST_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_wait_longer_each_time_up_to_a_bound() {
        let millis: Vec<_> = [1, 2, 3, 9, 10, u32::MAX]
            .map(|failures| retry(failures).as_millis())
            .into();
        assert_eq!(millis, [100, 200, 400, 25_600, 30_000, 30_000]);
    }

    #[test]
    fn a_failure_is_shown_without_its_backtrace() {
        let health = BackgroundHealth::Failing {
            failures: 2,
            reason: FailureReason::Trap,
            message: "it trapped\nwasm backtrace:\n  0: f".to_owned(),
        };
        assert_eq!(
            health.to_string(),
            "failing, 2 times in a row: filter_trap: it trapped"
        );
    }
}

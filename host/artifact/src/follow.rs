//! Keeps an artifact current for ever: tries again after failures, looks again where a source may change, and keeps
//! the last good one meanwhile. Ends only when nobody listens, or when nothing can change any more.

mod backoff;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use self::backoff::Backoff;
use crate::{Artifact, ArtifactRequest, FetchError, Fetcher};

/// Where an artifact stands.
#[derive(Clone, Debug)]
pub enum State {
    /// There was never a good one.
    Pending {
        /// Attempts that failed.
        attempts: u32,
        /// Why the last one did.
        error: Option<FetchError>,
    },
    /// The newest that could be had.
    Ready {
        /// It.
        artifact: Artifact,
    },
    /// A good one, but the source cannot be asked for a newer one.
    Stale {
        /// The last good one.
        artifact: Artifact,
        /// Why the last attempt failed.
        error: FetchError,
        /// Attempts that failed since it was good.
        attempts: u32,
        /// When the first of them did.
        since: SystemTime,
    },
}

/// When to try and to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The longest wait after the first failure; it doubles with each further one.
    pub first: Duration,
    /// The longest wait after any failure that another attempt may cure by itself; others wait about as long.
    pub cap: Duration,
    /// How long a server's own wish to be left alone is honoured at most.
    pub retry_after_cap: Duration,
    /// How often a source is asked whether it has something new; never when `None`.
    pub interval: Option<Duration>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            cap: Duration::from_mins(1),
            retry_after_cap: Duration::from_mins(10),
            interval: None,
        }
    }
}

impl State {
    /// Before the first attempt.
    #[must_use]
    pub const fn new() -> Self {
        Self::Pending {
            attempts: 0,
            error: None,
        }
    }

    /// The one to serve, if there is one.
    #[must_use]
    pub const fn artifact(&self) -> Option<&Artifact> {
        match self {
            Self::Pending { .. } => None,
            Self::Ready { artifact } | Self::Stale { artifact, .. } => Some(artifact),
        }
    }

    fn failed(&mut self, failure: FetchError, now: SystemTime) {
        *self = match std::mem::take(self) {
            Self::Pending { attempts, .. } => Self::Pending {
                attempts: attempts.saturating_add(1),
                error: Some(failure),
            },
            Self::Ready { artifact } => Self::Stale {
                artifact,
                error: failure,
                attempts: 1,
                since: now,
            },
            Self::Stale {
                artifact,
                attempts,
                since,
                ..
            } => Self::Stale {
                artifact,
                error: failure,
                attempts: attempts.saturating_add(1),
                since,
            },
        };
    }

    /// True when listeners see a difference.
    fn succeeded(&mut self, fresh: Artifact) -> bool {
        if let Self::Ready { artifact } = self
            && artifact.digest == fresh.digest
            && artifact.resolved == fresh.resolved
        {
            return false;
        }
        *self = Self::Ready { artifact: fresh };
        true
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

/// Follows one request until every receiver of `states` is gone, or until a pinned artifact, or one without an
/// interval, is there. What the store has is served at once. The caller owns the future and may drop it at any time.
pub async fn follow(
    fetcher: Arc<Fetcher>,
    request: ArtifactRequest,
    schedule: Schedule,
    states: watch::Sender<State>,
) {
    let stored = fetcher.stored(&request).await;
    if let Some(artifact) = stored {
        states.send_modify(|state| {
            let _changed = state.succeeded(artifact);
        });
    }
    let once = request.is_pinned() || schedule.interval.is_none();
    let attempt = || fetcher.fetch(&request);
    let work = run(attempt, &schedule, once, fastrand::f64, &states);
    tokio::select! {
        () = work => {}
        () = states.closed() => {}
    }
}

/// The loop itself, with the attempt and the dice handed in.
async fn run<F: Future<Output = Result<Artifact, FetchError>>>(
    mut attempt: impl FnMut() -> F,
    schedule: &Schedule,
    once: bool,
    mut dice: impl FnMut() -> f64,
    states: &watch::Sender<State>,
) {
    let mut backoff = Backoff::new(schedule);
    loop {
        let wait = match attempt().await {
            Ok(artifact) => {
                backoff.reset();
                states.send_if_modified(|state| state.succeeded(artifact));
                let Some(interval) = schedule.interval.filter(|_| !once) else {
                    return;
                };
                backoff::around(interval, dice())
            }
            Err(error) => {
                let wait = backoff.after(&error, dice());
                tracing::debug!(%error, ?wait, "an artifact was not fetched; trying again later");
                states.send_modify(|state| state.failed(error, SystemTime::now()));
                wait
            }
        };
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;

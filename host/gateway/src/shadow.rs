//! A new generation of a filter beside the live one: it sees copies of live exchanges, has no effect, and what both
//! decided is compared.
//!
//! The live filter answers first; the other runs afterwards, as a task of the worker, so it costs a request no time.

mod compare;
mod replay;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use weir_filter::{
    Action, Call, Exchange, FailureReason, Filter, FilterError, Finished, Kept, Phase, Phases, Progress,
    Waiting,
};
use weir_telemetry::{Comparison, PluginTelemetry};

use compare::{Outcome, differences};
use replay::Recorder;

/// Phases of one exchange that may wait for the shadow. When there are more, the rest of the exchange is not compared:
/// a shadow that missed one would decide otherwise for that alone.
const MAX_BEHIND: usize = 16;

/// Differences that are kept as examples, and how long each may be.
const MAX_SAMPLES: usize = 5;

/// Two generations of one filter.
pub(crate) struct ShadowFilter {
    live: Arc<dyn Filter>,
    candidate: Arc<dyn Filter>,
    report: Arc<Shadow>,
}

/// How the generations compare so far.
pub(crate) struct Shadow {
    equal: AtomicU64,
    differing: AtomicU64,
    samples: Mutex<Vec<String>>,
    telemetry: PluginTelemetry,
}

/// A phase of an exchange for the shadow: what the live filter was given, and what it made of it.
struct Seen {
    phase: Phase,
    before: Exchange,
    live: Outcome,
}

/// What a shadowed filter keeps of an exchange.
struct Session {
    live: Option<Kept>,
    /// `None` when the shadow was too far behind.
    shadow: Option<mpsc::Sender<Seen>>,
}

impl ShadowFilter {
    pub(crate) fn new(
        live: Arc<dyn Filter>,
        candidate: Arc<dyn Filter>,
        telemetry: &PluginTelemetry,
    ) -> Self {
        Self {
            live,
            candidate,
            report: Arc::new(Shadow {
                equal: AtomicU64::new(0),
                differing: AtomicU64::new(0),
                samples: Mutex::default(),
                telemetry: telemetry.clone(),
            }),
        }
    }

    pub(crate) fn report(&self) -> &Shadow {
        &self.report
    }

    /// Starts the task that runs the shadow over one exchange.
    fn session(&self) -> mpsc::Sender<Seen> {
        let (sender, seen) = mpsc::channel(MAX_BEHIND);
        let run = run(Arc::clone(&self.candidate), Arc::clone(&self.report), seen);
        tokio::task::spawn_local(run);
        sender
    }
}

impl fmt::Debug for ShadowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShadowFilter")
            .field("live", &self.live)
            .field("candidate", &self.candidate)
            .finish_non_exhaustive()
    }
}

impl Filter for ShadowFilter {
    fn name(&self) -> &str {
        self.live.name()
    }

    fn phases(&self) -> Phases {
        self.live.phases() | self.candidate.phases()
    }

    fn makes_callouts(&self) -> bool {
        self.live.makes_callouts()
    }

    fn count_failure(&self, reason: FailureReason) {
        self.live.count_failure(reason);
    }

    fn call(&self, call: Call, cx: &mut Context<'_>) -> Progress {
        let Call {
            phase,
            mut exchange,
            kept,
        } = call;
        let session = kept.and_then(Kept::take::<Session>);
        let (live_kept, shadow) = match session {
            Some(Session { live, shadow }) => (live, shadow),
            None => (None, Some(self.session())),
        };
        let pair = Pair(shadow.map(|shadow| Watched::begin(&mut exchange, phase.clone(), shadow)));
        if !self.live.phases().contains(phase.flag()) {
            let finished = Finished {
                exchange,
                kept: live_kept,
                result: Ok(Action::Next),
            };
            return Progress::Done(pair.finish(finished));
        }
        let call = Call {
            phase,
            exchange,
            kept: live_kept,
        };
        match self.live.call(call, cx) {
            Progress::Done(finished) => Progress::Done(pair.finish(finished)),
            Progress::Waiting(call) => Progress::Waiting(Box::new(WaitingPair {
                call: Some(call),
                pair: Some(pair),
            })),
        }
    }
}

/// A live call, and what of it the shadow waits for, if it still follows.
struct Pair(Option<Watched>);

/// The half of a phase that is known before the live filter has run.
struct Watched {
    before: Exchange,
    recorder: Option<Arc<Recorder>>,
    phase: Phase,
    shadow: mpsc::Sender<Seen>,
}

impl Pair {
    /// Hands what the live filter did over to the shadow.
    fn finish(self, mut finished: Finished) -> Finished {
        let shadow = self.0.and_then(|it| it.hand_over(&mut finished));
        Finished {
            kept: Some(Kept::new(Session {
                live: finished.kept,
                shadow,
            })),
            ..finished
        }
    }
}

impl Watched {
    /// From here on the exchange is the live filter's.
    fn begin(exchange: &mut Exchange, phase: Phase, shadow: mpsc::Sender<Seen>) -> Self {
        let before = exchange.fork();
        let recorder = exchange.callouts.take().map(Recorder::new);
        exchange.callouts = recorder.as_ref().map(|it| Arc::clone(it) as _);
        Self {
            before,
            recorder,
            phase,
            shadow,
        }
    }

    /// The way to the shadow, while it follows: live traffic does not wait for one that is too far behind.
    fn hand_over(mut self, finished: &mut Finished) -> Option<mpsc::Sender<Seen>> {
        if let Some(recorder) = &self.recorder {
            finished.exchange.callouts = Some(recorder.inner());
            self.before.callouts = Some(recorder.replay());
        }
        let seen = Seen {
            live: Outcome::of(&finished.exchange, &finished.result),
            phase: self.phase,
            before: self.before,
        };
        self.shadow.try_send(seen).is_ok().then_some(self.shadow)
    }
}

struct WaitingPair {
    call: Option<Box<dyn Waiting>>,
    pair: Option<Pair>,
}

impl Waiting for WaitingPair {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Finished> {
        let Some(call) = &mut self.call else {
            return Poll::Pending;
        };
        let finished = std::task::ready!(call.poll(cx));
        self.call = None;
        Poll::Ready(match self.pair.take() {
            Some(pair) => pair.finish(finished),
            None => finished,
        })
    }

    fn abandon(self: Box<Self>) -> Exchange {
        let mut exchange = self.call.map(Waiting::abandon).unwrap_or_default();
        if let Some(recorder) = self.pair.and_then(|it| it.0).and_then(|it| it.recorder) {
            exchange.callouts = Some(recorder.inner());
        }
        exchange
    }
}

impl fmt::Debug for WaitingPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingPair")
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}

/// Runs the candidate over the phases of one exchange, until the exchange is over.
async fn run(candidate: Arc<dyn Filter>, report: Arc<Shadow>, mut seen: mpsc::Receiver<Seen>) {
    let mut kept = None;
    let mut own = Exchange::default();
    while let Some(Seen {
        phase,
        mut before,
        live,
    }) = seen.recv().await
    {
        // Its notes are its own, everything else is as the live filter found it.
        before.take_notes_of(&mut own);
        let name = phase.as_str();
        let finished = if candidate.phases().contains(phase.flag()) {
            let call = Call {
                phase,
                exchange: before,
                kept: kept.take(),
            };
            complete(&*candidate, call).await
        } else {
            Finished {
                exchange: before,
                kept: kept.take(),
                result: Ok(Action::Next),
            }
        };
        let outcome = Outcome::of(&finished.exchange, &finished.result);
        report.compared(name, &differences(&live, &outcome));
        kept = finished.kept;
        own = finished.exchange;
    }
}

/// Drives one call to its end.
async fn complete(filter: &dyn Filter, call: Call) -> Finished {
    let mut call = Some(call);
    let mut waiting: Option<Box<dyn Waiting>> = None;
    std::future::poll_fn(|cx| {
        if let Some(call) = call.take() {
            match filter.call(call, cx) {
                Progress::Done(finished) => return Poll::Ready(finished),
                Progress::Waiting(it) => waiting = Some(it),
            }
            return Poll::Pending;
        }
        match &mut waiting {
            Some(waiting) => waiting.poll(cx),
            None => Poll::Pending,
        }
    })
    .await
}

impl Shadow {
    /// What people want to know of it.
    pub(crate) fn summary(&self) -> String {
        let (equal, differing) = (
            self.equal.load(Ordering::Relaxed),
            self.differing.load(Ordering::Relaxed),
        );
        let mut text = format!("{equal} decisions equal, {differing} different");
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        for sample in samples.iter() {
            text.push_str("; ");
            text.push_str(sample);
        }
        text
    }

    fn compared(&self, phase: &str, differences: &[String]) {
        if differences.is_empty() {
            self.equal.fetch_add(1, Ordering::Relaxed);
            self.telemetry.compared(Comparison::Equal);
            return;
        }
        let before = self.differing.fetch_add(1, Ordering::Relaxed);
        self.telemetry.compared(Comparison::Differing);
        // The first one, then ever rarer ones, so that the examples are not all of one minute.
        if before.count_ones() <= 1 {
            let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
            if samples.len() == MAX_SAMPLES {
                samples.remove(0);
            }
            samples.push(format!("{phase}: {}", differences.join(", ")));
        }
    }
}

/// The error's reason: messages may hold what differs between any two runs.
fn reason(error: &FilterError) -> String {
    format!("it fails: {}", error.reason)
}

#[cfg(test)]
mod tests;

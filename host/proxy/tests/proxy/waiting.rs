//! A filter whose phases are futures, so that it can wait.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use weir_filter::{
    Action, Call, CalloutRequest, Callouts, Exchange, FailureReason, Filter, FilterError, Finished, Phase,
    Phases, Progress, Reply, Waiting,
};

/// How a phase ends.
pub(crate) type Outcome = Result<Action, FilterError>;

type Turn = Pin<Box<dyn Future<Output = Outcome>>>;

/// A filter that makes callouts and waits for them.
pub(crate) struct Waits {
    phases: Phases,
    act: Box<dyn Fn(Phase, Lent) -> Turn + Send + Sync>,
}

/// The exchange while a phase has it.
#[derive(Clone)]
pub(crate) struct Lent(Rc<RefCell<Exchange>>);

struct Turning {
    lent: Lent,
    turn: Turn,
}

impl Waits {
    pub(crate) fn new<F>(phases: Phases, act: impl Fn(Phase, Lent) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Outcome> + 'static,
    {
        Self {
            phases,
            act: Box::new(move |phase, lent| Box::pin(act(phase, lent))),
        }
    }
}

impl Lent {
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Exchange) -> T) -> T {
        act(&mut self.0.borrow_mut())
    }

    pub(crate) fn callouts(&self) -> Arc<dyn Callouts> {
        self.with(|it| Arc::clone(it.callouts.as_ref().unwrap()))
    }

    /// Replies with this text.
    pub(crate) fn reply(&self, text: impl Into<Bytes>) -> Outcome {
        self.with(|it| {
            it.stage_reply(Reply {
                body: text.into(),
                ..Reply::new(StatusCode::OK)
            });
        });
        Ok(Action::Reply)
    }

    fn into_exchange(self) -> Exchange {
        self.0.take()
    }
}

/// `GET path`, with time enough for a busy machine.
pub(crate) fn get(path: &str) -> CalloutRequest {
    CalloutRequest {
        method: Method::GET,
        path: path.to_owned(),
        authority: String::new(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(20),
        largest_response: 1 << 20,
    }
}

impl Filter for Waits {
    fn name(&self) -> &str {
        "waits"
    }

    fn phases(&self) -> Phases {
        self.phases
    }

    fn makes_callouts(&self) -> bool {
        true
    }

    fn count_failure(&self, _: FailureReason) {}

    fn call(&self, call: Call, cx: &mut Context<'_>) -> Progress {
        let lent = Lent(Rc::new(RefCell::new(call.exchange)));
        let turn = (self.act)(call.phase, lent.clone());
        let mut turning = Turning { lent, turn };
        match turning.poll(cx) {
            Poll::Ready(finished) => Progress::Done(finished),
            Poll::Pending => Progress::Waiting(Box::new(turning)),
        }
    }
}

impl Waiting for Turning {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Finished> {
        self.turn.as_mut().poll(cx).map(|result| Finished {
            exchange: self.lent.clone().into_exchange(),
            kept: None,
            result,
        })
    }

    fn abandon(self: Box<Self>) -> Exchange {
        let Self { lent, turn } = *self;
        drop(turn);
        lent.into_exchange()
    }
}

impl fmt::Debug for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waits")
    }
}

impl fmt::Debug for Turning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turning")
    }
}

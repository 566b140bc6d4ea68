//! Order, replacement, closing and failure modes on a connection, with filters written in Rust.

use std::sync::Mutex;
use std::task::Waker;

use weir_model::FailureMode::{self, Closed, Open};

use super::*;
use crate::{Direction, FailureReason};

/// Notes what it is told, and at the event of that name does what it was told.
#[derive(Debug)]
struct Probe {
    name: &'static str,
    at: &'static str,
    act: Act,
    journal: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    /// Puts its name after the bytes.
    Sign,
    /// Leaves no bytes.
    Swallow,
    Close,
    Fail,
    /// Pending once, then signs.
    Wait,
    /// Pending once, then closes.
    WaitAndClose,
}

impl ConnectionFilter for Probe {
    fn name(&self) -> &str {
        self.name
    }

    fn events(&self) -> ConnectionEvents {
        ConnectionEvents::all()
    }

    fn call(&self, call: ConnectionCall, _: &mut Context<'_>) -> ConnectionProgress {
        let ConnectionCall {
            event,
            mut connection,
            kept,
        } = call;
        let phase = event.as_str();
        let entry = format!("{}:{phase}", self.name);
        self.journal.lock().unwrap().push(entry);
        let acts = phase == self.at;
        let mut result = Ok(ConnectionAction::Next);
        match (&event, self.act) {
            (_, Act::Close | Act::WaitAndClose) if acts => result = Ok(ConnectionAction::Close),
            (_, Act::Fail) if acts => {
                result = Err(FilterError {
                    filter: self.name.to_owned(),
                    reason: FailureReason::Trap,
                    message: String::new(),
                });
            }
            (ConnectionEvent::Downstream(_) | ConnectionEvent::Upstream(_), Act::Swallow) if acts => {
                connection.stage_data(Bytes::new());
            }
            (ConnectionEvent::Downstream(chunk) | ConnectionEvent::Upstream(chunk), _) => {
                let bytes = [&*chunk.bytes, self.name.as_bytes()].concat();
                connection.stage_data(bytes.into());
            }
            _ => {}
        }
        let finished = ConnectionFinished {
            connection,
            kept,
            result,
        };
        match self.act {
            Act::Wait | Act::WaitAndClose if acts => {
                ConnectionProgress::Waiting(Box::new(Slow(Some(finished), false)))
            }
            _ => ConnectionProgress::Done(finished),
        }
    }
}

/// Ready the second time.
#[derive(Debug)]
struct Slow(Option<ConnectionFinished>, bool);

impl ConnectionWaiting for Slow {
    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionFinished> {
        if !std::mem::replace(&mut self.1, true) {
            return Poll::Pending;
        }
        Poll::Ready(self.0.take().unwrap())
    }

    fn abandon(mut self: Box<Self>) -> Connection {
        self.0.take().unwrap().connection
    }
}

struct Case {
    chain: ConnectionChain,
    run: ConnectionRun,
    journal: Arc<Mutex<Vec<String>>>,
}

impl Case {
    fn new(filters: &[(&'static str, &'static str, Act, FailureMode)]) -> Self {
        let journal = Arc::<Mutex<Vec<String>>>::default();
        type Given = (&'static str, &'static str, Act, FailureMode);
        let step = |(name, at, act, failure_mode): &Given| ConnectionStep {
            filter: Arc::new(Probe {
                name,
                at,
                act: *act,
                journal: Arc::clone(&journal),
            }),
            failure_mode: *failure_mode,
            listener: format!("of {name}").into(),
        };
        let chain = ConnectionChain::new(filters.iter().map(step).collect());
        let run = chain.start(Connection::default());
        Self { chain, run, journal }
    }

    fn open(&mut self) -> Result<(), ConnectionClosed> {
        ready(self.chain.poll_open(&mut self.run, &mut nobody()))
    }

    fn data(&mut self, direction: Direction, bytes: &'static str) -> Poll<Result<Bytes, ConnectionClosed>> {
        let chunk = Chunk {
            bytes: bytes.into(),
            end: false,
        };
        self.chain
            .poll_data(&mut self.run, direction, &chunk, &mut nobody())
    }

    fn close(&mut self) {
        ready(self.chain.poll_close(&mut self.run, &mut nobody()));
    }

    fn journal(&self) -> String {
        std::mem::take(&mut *self.journal.lock().unwrap()).join(" ")
    }
}

fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn ready<T>(poll: Poll<T>) -> T {
    match poll {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn bytes_from_the_client_go_forward_and_bytes_to_it_backward() {
    let mut case = Case::new(&[("a", "", Act::Sign, Closed), ("b", "", Act::Sign, Closed)]);
    case.open().unwrap();
    assert_eq!(ready(case.data(Direction::Request, "+")).unwrap(), "+ab");
    assert_eq!(ready(case.data(Direction::Response, "-")).unwrap(), "-ba");
    assert_eq!(
        ready(case.data(Direction::Request, "+")).unwrap(),
        "+ab",
        "every chunk begins anew"
    );
    case.journal();
    case.close();
    assert_eq!(case.journal(), "a:close b:close");
}

#[test]
fn a_filter_that_closes_is_told_of_the_close_and_those_behind_it_of_nothing() {
    let mut case = Case::new(&[
        ("a", "connection", Act::Close, Closed),
        ("b", "", Act::Sign, Closed),
    ]);
    let closed = case.open().unwrap_err();
    assert_eq!(closed.to_string(), "filter a closed the connection");
    case.close();
    assert_eq!(case.journal(), "a:connection a:close");
}

#[test]
fn failing_open_leaves_out_that_filter_and_no_other() {
    let mut case = Case::new(&[
        ("a", "downstream_data", Act::Fail, Open),
        ("b", "", Act::Sign, Closed),
    ]);
    case.open().unwrap();
    assert_eq!(ready(case.data(Direction::Request, "1")).unwrap(), "1b");
    assert_eq!(ready(case.data(Direction::Request, "2")).unwrap(), "2b");
    case.close();
    assert_eq!(
        case.journal(),
        "a:connection b:connection a:downstream_data b:downstream_data b:downstream_data b:close"
    );
}

#[test]
fn failing_closed_closes() {
    let mut case = Case::new(&[("a", "upstream_data", Act::Fail, Closed)]);
    case.open().unwrap();
    let Err(ConnectionClosed::Failed(error)) = ready(case.data(Direction::Response, "1")) else {
        panic!("it must close")
    };
    assert_eq!(error.reason, FailureReason::Trap);
}

#[test]
fn a_chunk_that_was_swallowed_is_not_handed_on() {
    let mut case = Case::new(&[
        ("a", "downstream_data", Act::Swallow, Closed),
        ("b", "", Act::Sign, Closed),
    ]);
    case.open().unwrap();
    case.journal();
    assert_eq!(ready(case.data(Direction::Request, "1")).unwrap(), "");
    assert_eq!(case.journal(), "a:downstream_data");
}

#[test]
fn a_call_that_waits_is_driven_by_the_other_direction_and_its_result_is_not_lost() {
    let mut case = Case::new(&[("a", "downstream_data", Act::Wait, Closed)]);
    case.open().unwrap();
    assert!(case.data(Direction::Request, "+").is_pending());
    assert!(
        case.data(Direction::Response, "-").is_pending(),
        "the call has the connection"
    );
    assert_eq!(ready(case.data(Direction::Response, "-")).unwrap(), "-a");
    assert_eq!(ready(case.data(Direction::Request, "+")).unwrap(), "+a");
}

#[test]
fn calls_of_both_directions_that_wait_are_each_made_once_and_both_results_count() {
    let mut case = Case::new(&[
        ("a", "downstream_data", Act::Wait, Closed),
        ("b", "upstream_data", Act::Wait, Closed),
    ]);
    case.open().unwrap();
    case.journal();
    assert!(case.data(Direction::Request, "+").is_pending());
    assert!(case.data(Direction::Response, "-").is_pending());
    assert!(
        case.data(Direction::Response, "-").is_pending(),
        "the first call is over, and the second waits"
    );
    assert!(
        case.data(Direction::Request, "+").is_pending(),
        "it has its result, and its next filter waits for the second call"
    );
    assert_eq!(ready(case.data(Direction::Request, "+")).unwrap(), "+ab");
    assert_eq!(ready(case.data(Direction::Response, "-")).unwrap(), "-ba");
    assert_eq!(
        case.journal(),
        "a:downstream_data b:upstream_data b:downstream_data a:upstream_data"
    );
}

#[test]
fn a_close_that_the_other_direction_brought_about_is_obeyed_although_that_one_waits_as_well() {
    let mut case = Case::new(&[
        ("a", "downstream_data", Act::WaitAndClose, Closed),
        ("b", "upstream_data", Act::Wait, Closed),
    ]);
    case.open().unwrap();
    assert!(case.data(Direction::Request, "+").is_pending());
    assert!(case.data(Direction::Response, "-").is_pending());
    assert!(case.data(Direction::Response, "-").is_pending());
    let closed = ready(case.data(Direction::Request, "+")).unwrap_err();
    assert_eq!(closed.to_string(), "filter a closed the connection");
}

#[test]
fn the_close_does_not_wait_for_a_call() {
    let mut case = Case::new(&[("a", "downstream_data", Act::Wait, Closed)]);
    case.open().unwrap();
    assert!(case.data(Direction::Request, "+").is_pending());
    case.journal();
    case.close();
    assert_eq!(case.journal(), "a:close");
}

#[test]
fn a_filter_reads_the_listener_whose_chain_it_stands_in() {
    let mut connection = Connection::default();
    let case = Case::new(&[("a", "", Act::Sign, Closed)]);
    assert_eq!(connection.facts().listener, None);
    let step = &case.chain;
    let mut run = step.start(std::mem::take(&mut connection));
    ready(step.poll_open(&mut run, &mut nobody())).unwrap();
    assert_eq!(run.facts().unwrap().listener.as_deref(), Some("of a"));
}

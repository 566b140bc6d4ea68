//! Order, replies and failure modes of a chain, with filters written in Rust.

use std::sync::Mutex;
use std::task::Waker;

use http::StatusCode;

use super::*;
use crate::{Call, Exchange, Finished, Oversize, Progress, Waiting};
use Act::{Body, Fail, ForgetReply, Next, Reply as SendReply, Wait};
use FailureMode::{Closed, Open};

/// Says what it saw, and does in each phase what it was told.
#[derive(Debug)]
struct Probe {
    name: &'static str,
    request: Act,
    response: Act,
    journal: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Next,
    Reply,
    ForgetReply,
    Fail,
    Body,
    /// Pending once, in body phases; then upper case.
    Wait,
}

impl Probe {
    fn act(&self, phase: &str, act: Act, exchange: &mut Exchange) -> Result<Action, FilterError> {
        self.journal
            .lock()
            .unwrap()
            .push(format!("{}:{phase}", self.name));
        match act {
            Next | Wait => Ok(Action::Next),
            SendReply => {
                exchange.stage_reply(Reply::new(StatusCode::IM_A_TEAPOT));
                Ok(Action::Reply)
            }
            ForgetReply => Ok(Action::Reply),
            Fail => Err(FilterError {
                filter: self.name.to_owned(),
                reason: FailureReason::Trap,
                message: String::new(),
            }),
            Body => Ok(Action::Body(BodyPlan::Whole {
                limit: 10,
                oversize: Oversize::Reject,
            })),
        }
    }
}

impl Filter for Probe {
    fn name(&self) -> &str {
        self.name
    }

    fn phases(&self) -> Phases {
        Phases::all()
    }

    fn count_failure(&self, _: FailureReason) {}

    fn call(&self, call: Call, _: &mut Context<'_>) -> Progress {
        let Call {
            phase,
            mut exchange,
            kept,
        } = call;
        let result = match &phase {
            Phase::RequestHead => self.act("request", self.request, &mut exchange),
            Phase::ResponseHead => self.act("response", self.response, &mut exchange),
            Phase::Log => self.act("log", Next, &mut exchange),
            Phase::RequestTrailers | Phase::ResponseTrailers => self.act(phase.as_str(), Next, &mut exchange),
            Phase::RequestBody(chunk) | Phase::ResponseBody(chunk) => {
                exchange.set_note("seen", chunk.bytes.clone());
                exchange.stage_body(chunk.bytes.to_ascii_uppercase().into());
                Ok(Action::Next)
            }
        };
        let finished = Finished {
            exchange,
            kept,
            result,
        };
        match (self.request, phase) {
            (Wait, Phase::RequestBody(_)) => Progress::Waiting(Box::new(Slow(Some(finished), 1))),
            _ => Progress::Done(finished),
        }
    }
}

/// Ready after so many polls.
#[derive(Debug)]
struct Slow(Option<Finished>, u32);

impl Waiting for Slow {
    fn poll(&mut self, _: &mut Context<'_>) -> Poll<Finished> {
        if self.1 > 0 {
            self.1 -= 1;
            return Poll::Pending;
        }
        Poll::Ready(self.0.take().unwrap())
    }

    fn abandon(mut self: Box<Self>) -> Exchange {
        self.0.take().unwrap().exchange
    }
}

struct Case {
    chain: Chain,
    run: Run,
    journal: Arc<Mutex<Vec<String>>>,
}

impl Case {
    fn new(filters: &[(&'static str, Act, Act, FailureMode)]) -> Self {
        let journal = Arc::<Mutex<Vec<String>>>::default();
        let step = |(name, request, response, failure_mode): &(&'static str, Act, Act, FailureMode)| Step {
            filter: Arc::new(Probe {
                name,
                request: *request,
                response: *response,
                journal: Arc::clone(&journal),
            }),
            failure_mode: *failure_mode,
        };
        let chain = Chain::new(filters.iter().map(step).collect());
        let run = chain.start(Exchange::default());
        Self { chain, run, journal }
    }

    fn request(&mut self) -> HeadOutcome {
        ready(self.chain.poll_request_head(&mut self.run, &mut nobody()))
    }

    fn response(&mut self) -> HeadOutcome {
        ready(self.chain.poll_response_head(&mut self.run, &mut nobody()))
    }

    fn body(&mut self, direction: Direction, at: usize, bytes: &'static str) -> Poll<BodyOutcome> {
        let chunk = Chunk {
            bytes: bytes.into(),
            end: true,
        };
        self.chain
            .poll_body(&mut self.run, direction, StepIndex(at), &chunk, &mut nobody())
    }

    fn journal(&self) -> String {
        self.journal.lock().unwrap().join(" ")
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
fn requests_go_forward_and_responses_backward() {
    let mut case = Case::new(&[("a", Next, Next, Closed), ("b", Next, Next, Closed)]);
    assert!(matches!(case.request(), HeadOutcome::Done));
    assert!(matches!(case.response(), HeadOutcome::Done));
    ready(case.chain.poll_log(&mut case.run, &mut nobody()));
    assert_eq!(
        case.journal(),
        "a:request b:request b:response a:response a:log b:log"
    );
}

#[test]
fn a_reply_turns_back_over_the_filters_that_passed_the_request_on() {
    let mut case = Case::new(&[
        ("a", Next, Next, Closed),
        ("b", SendReply, Next, Closed),
        ("c", Next, Next, Closed),
    ]);
    assert!(matches!(case.request(), HeadOutcome::Reply(StepIndex(1), _)));
    assert!(matches!(case.response(), HeadOutcome::Done));
    assert_eq!(case.journal(), "a:request b:request a:response");
}

#[test]
fn failing_open_leaves_out_that_filter_and_no_other() {
    let mut case = Case::new(&[("a", Fail, Next, Open), ("auth", SendReply, Next, Closed)]);
    assert!(
        matches!(case.request(), HeadOutcome::Reply(StepIndex(1), _)),
        "the neighbour still decides"
    );
    assert!(matches!(case.response(), HeadOutcome::Done));
    assert_eq!(
        case.journal(),
        "a:request auth:request",
        "a filter that failed is not run again"
    );
}

#[test]
fn failing_closed_ends_the_request_phases() {
    let mut case = Case::new(&[
        ("a", Next, Next, Open),
        ("b", Fail, Next, Closed),
        ("c", Next, Next, Closed),
    ]);
    let HeadOutcome::Failed(StepIndex(1), error) = case.request() else {
        panic!("b fails")
    };
    assert_eq!(error.reason, FailureReason::Trap);
    assert_eq!(case.journal(), "a:request b:request");
}

#[test]
fn a_reply_that_was_not_staged_is_a_failure() {
    let mut case = Case::new(&[("a", ForgetReply, Next, Closed)]);
    let HeadOutcome::Failed(_, error) = case.request() else {
        panic!("it must fail")
    };
    assert_eq!(error.reason, FailureReason::NoReply);
}

#[test]
fn a_whole_body_halts_the_chain_until_it_is_resumed() {
    let mut case = Case::new(&[("a", Body, Next, Closed), ("b", Next, Next, Closed)]);
    let HeadOutcome::Body(step, _) = case.request() else {
        panic!("a wants the body")
    };
    assert_eq!(case.journal(), "a:request", "b waits");
    let body = ready(case.body(Direction::Request, step.0, "abc"));
    assert!(matches!(body, BodyOutcome::Pass(bytes) if bytes == "ABC"));
    assert!(matches!(case.request(), HeadOutcome::Done));
    assert_eq!(case.journal(), "a:request b:request");
}

#[test]
fn a_body_too_large_follows_the_failure_mode() {
    let mut closed = Case::new(&[("a", Body, Next, Closed)]);
    closed.request();
    let error = closed
        .chain
        .body_too_large(StepIndex(0), &mut closed.run, 10)
        .unwrap_err();
    assert_eq!(error.reason, FailureReason::BodyTooLarge);

    let mut open = Case::new(&[("a", Body, Next, Open)]);
    open.request();
    open.chain
        .body_too_large(StepIndex(0), &mut open.run, 10)
        .unwrap();
    let body = ready(open.body(Direction::Request, 0, "abc"));
    assert!(
        matches!(body, BodyOutcome::Pass(bytes) if bytes == "abc"),
        "left out: the body passes unread"
    );
}

#[test]
fn notes_belong_to_the_filter_that_wrote_them() {
    let mut case = Case::new(&[("a", Next, Next, Closed), ("b", Next, Next, Closed)]);
    case.request();
    ready(case.body(Direction::Request, 0, "of a"));
    assert_eq!(case.run.exchange().note("seen").unwrap(), "of a");
    case.run.exchange().begin(StepIndex(1));
    assert_eq!(case.run.exchange().note("seen"), None);
}

#[test]
fn trailers_pass_forward_with_a_request_and_backward_with_a_response() {
    let mut case = Case::new(&[("a", Next, Next, Closed), ("b", Next, Next, Closed)]);
    case.request();
    for direction in [Direction::Request, Direction::Response] {
        let outcome = ready(case.chain.poll_trailers(&mut case.run, direction, &mut nobody()));
        assert!(matches!(outcome, TrailersOutcome::Done));
    }
    assert_eq!(
        case.journal(),
        "a:request b:request a:request_trailers b:request_trailers b:response_trailers a:response_trailers"
    );
}

#[test]
fn a_call_that_waits_goes_on_where_it_was() {
    let mut case = Case::new(&[("a", Wait, Next, Closed)]);
    case.request();
    assert!(case.body(Direction::Request, 0, "abc").is_pending());
    assert!(case.body(Direction::Request, 0, "abc").is_pending());
    let outcome = ready(case.body(Direction::Request, 0, "abc"));
    assert!(matches!(outcome, BodyOutcome::Pass(bytes) if bytes == "ABC"));
}

#[test]
fn a_response_waits_for_the_call_of_the_request_and_loses_nothing_of_it() {
    let mut case = Case::new(&[("a", Wait, Next, Closed)]);
    case.request();
    assert!(case.body(Direction::Request, 0, "abc").is_pending());
    let mut cx = nobody();
    assert!(
        case.chain.poll_response_head(&mut case.run, &mut cx).is_pending(),
        "the call has the exchange"
    );
    assert!(
        matches!(case.response(), HeadOutcome::Done),
        "and gives it back when it is over"
    );
    let outcome = ready(case.body(Direction::Request, 0, "abc"));
    assert!(matches!(outcome, BodyOutcome::Pass(bytes) if bytes == "ABC"));
}

#[test]
fn whoever_needs_the_exchange_at_once_ends_the_call_that_has_it() {
    let mut case = Case::new(&[("a", Wait, Next, Closed)]);
    case.request();
    case.run.exchange().facts.connection_id = 7;
    assert!(case.body(Direction::Request, 0, "abc").is_pending());
    assert_eq!(case.run.exchange().facts.connection_id, 7);
}

//! Order, replies and failure modes of a chain, with filters written in Rust.

use std::sync::Mutex;

use http::StatusCode;

use super::*;
use crate::Oversize;
use Act::{Body, Fail, ForgetReply, Next, Reply as SendReply};
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
}

impl Probe {
    fn act(&self, phase: &str, act: Act, exchange: &mut Exchange) -> Result<HeadAction, FilterError> {
        self.journal
            .lock()
            .unwrap()
            .push(format!("{}:{phase}", self.name));
        match act {
            Next => Ok(HeadAction::Next),
            SendReply => {
                exchange.stage_reply(Reply::new(StatusCode::IM_A_TEAPOT));
                Ok(HeadAction::Reply)
            }
            ForgetReply => Ok(HeadAction::Reply),
            Fail => Err(FilterError {
                filter: self.name.to_owned(),
                reason: FailureReason::Trap,
                message: String::new(),
            }),
            Body => Ok(HeadAction::Body(BodyPlan::Whole {
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

    fn on_request_head(&self, exchange: &mut Exchange) -> Result<HeadAction, FilterError> {
        self.act("request", self.request, exchange)
    }

    fn on_request_body(
        &self,
        exchange: &mut Exchange,
        chunk: &Bytes,
        _: bool,
    ) -> Result<BodyAction, FilterError> {
        exchange.set_note("seen", chunk.clone());
        exchange.stage_body(chunk.to_ascii_uppercase().into());
        Ok(BodyAction::Next)
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> Result<HeadAction, FilterError> {
        self.act("response", self.response, exchange)
    }

    fn on_log(&self, exchange: &mut Exchange) -> Result<(), FilterError> {
        self.act("log", Next, exchange).map(|_| ())
    }
}

struct Case {
    chain: Chain,
    run: Run,
    exchange: Exchange,
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
        let run = chain.start();
        Self {
            chain,
            run,
            exchange: Exchange::default(),
            journal,
        }
    }

    fn request(&mut self, after: Option<StepIndex>) -> HeadOutcome {
        self.chain.request_head(&mut self.exchange, &mut self.run, after)
    }

    fn response(&mut self) -> HeadOutcome {
        self.chain.response_head(&mut self.exchange, &mut self.run, None)
    }

    fn journal(&self) -> String {
        self.journal.lock().unwrap().join(" ")
    }
}

#[test]
fn requests_go_forward_and_responses_backward() {
    let mut case = Case::new(&[("a", Next, Next, Closed), ("b", Next, Next, Closed)]);
    assert!(matches!(case.request(None), HeadOutcome::Done));
    assert!(matches!(case.response(), HeadOutcome::Done));
    case.chain.log(&mut case.exchange);
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
    assert!(matches!(case.request(None), HeadOutcome::Reply(StepIndex(1), _)));
    assert!(matches!(case.response(), HeadOutcome::Done));
    assert_eq!(case.journal(), "a:request b:request a:response");
}

#[test]
fn failing_open_leaves_out_that_filter_and_no_other() {
    let mut case = Case::new(&[("a", Fail, Next, Open), ("auth", SendReply, Next, Closed)]);
    assert!(
        matches!(case.request(None), HeadOutcome::Reply(StepIndex(1), _)),
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
    let HeadOutcome::Failed(StepIndex(1), error) = case.request(None) else {
        panic!("b fails")
    };
    assert_eq!(error.reason, FailureReason::Trap);
    assert_eq!(case.journal(), "a:request b:request");
}

#[test]
fn a_reply_that_was_not_staged_is_a_failure() {
    let mut case = Case::new(&[("a", ForgetReply, Next, Closed)]);
    let HeadOutcome::Failed(_, error) = case.request(None) else {
        panic!("it must fail")
    };
    assert_eq!(error.reason, FailureReason::NoReply);
}

#[test]
fn a_whole_body_halts_the_chain_until_it_is_resumed() {
    let mut case = Case::new(&[("a", Body, Next, Closed), ("b", Next, Next, Closed)]);
    let HeadOutcome::Body(step, _) = case.request(None) else {
        panic!("a wants the body")
    };
    assert_eq!(case.journal(), "a:request", "b waits");
    let body = case
        .chain
        .request_body(step, &mut case.exchange, &mut case.run, "abc".into(), true);
    assert!(matches!(body, BodyOutcome::Pass(bytes) if bytes == "ABC"));
    assert!(matches!(case.request(Some(step)), HeadOutcome::Done));
    assert_eq!(case.journal(), "a:request b:request");
}

#[test]
fn a_body_too_large_follows_the_failure_mode() {
    let mut closed = Case::new(&[("a", Body, Next, Closed)]);
    closed.request(None);
    let error = closed
        .chain
        .body_too_large(StepIndex(0), &mut closed.run, 10)
        .unwrap_err();
    assert_eq!(error.reason, FailureReason::BodyTooLarge);

    let mut open = Case::new(&[("a", Body, Next, Open)]);
    open.request(None);
    open.chain
        .body_too_large(StepIndex(0), &mut open.run, 10)
        .unwrap();
    let body = open.chain.request_body(
        StepIndex(0),
        &mut open.exchange,
        &mut open.run,
        "abc".into(),
        true,
    );
    assert!(
        matches!(body, BodyOutcome::Pass(bytes) if bytes == "abc"),
        "left out: the body passes unread"
    );
}

#[test]
fn notes_belong_to_the_filter_that_wrote_them() {
    let mut case = Case::new(&[("a", Next, Next, Closed), ("b", Next, Next, Closed)]);
    case.request(None);
    case.chain.request_body(
        StepIndex(0),
        &mut case.exchange,
        &mut case.run,
        "of a".into(),
        true,
    );
    assert_eq!(case.exchange.note("seen").unwrap(), "of a");
    case.exchange.step = StepIndex(1);
    assert_eq!(case.exchange.note("seen"), None);
}

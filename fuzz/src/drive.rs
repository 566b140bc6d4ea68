//! One exchange through a chain of the guest, phase by phase as the proxy does it, without its sockets.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::StatusCode;
use weir_filter::{
    BodyOutcome, BodyPlan, Call, Chain, Chunk, Direction, Exchange, Facts, FailureReason, FilterError,
    HeadOutcome, Oversize, Phase, Progress, Reply, RequestHead, Run, Step, StepIndex, TrailersOutcome,
};
use weir_model::FailureMode;

use crate::check::check_exchange;
use crate::guest::LIMITS;
use crate::{Guest, Input, Script, check_fields};

/// Names the exchange, so that another one in its place is noticed.
const MARK: u64 = 0x5745_4952;

/// Calls of one exchange at most: two filters, seven phases, two chunks, and heads that are asked again.
const CALLS: usize = 32;

/// Runs what the input describes: a chain, a message each way, a program for each phase, answers of backends.
///
/// # Panics
/// When something does not hold that must.
pub fn drive(guest: &Guest, bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let plan = input.byte();
    if plan == 255 {
        return guest.configure(input.rest());
    }
    run_exchange(guest, plan, &mut input);
    guest.check_instances();
    calm(guest);
}

fn run_exchange(guest: &Guest, plan: u8, input: &mut Input<'_>) {
    let chain = chain(guest, plan);
    let exchange = exchange(input);
    let (mut passage, bodies) = (Passage::new(&chain, exchange, plan), [input.body(), input.body()]);
    let trailers = [input.fields(), input.fields()];
    programs(&mut passage.run, input);
    passage.run.exchange().callouts = Some(Script::new(input.clone().rest()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        // Whoever waits for ever has waited long enough at once.
        .start_paused(true)
        .build()
        .expect("a runtime");
    let [request_body, response_body] = bodies;
    let [request_trailers, response_trailers] = trailers;
    runtime.block_on(async {
        passage.run.exchange().request_trailers = own(request_trailers);
        passage.message(Direction::Request, &request_body).await;
        let response = passage.reply.take().unwrap_or_else(|| Reply {
            status: StatusCode::OK,
            headers: own(response_trailers.clone()),
            body: response_body,
        });
        let body = passage.respond(response);
        passage.run.exchange().response_trailers = own(response_trailers);
        passage.message(Direction::Response, &body).await;
        passage.log().await;
    });
    passage.check();
}

/// Without what the proxy takes away before any filter sees it.
fn own(mut fields: http::HeaderMap) -> http::HeaderMap {
    for name in [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ] {
        fields.remove(name);
    }
    fields
}

fn chain(guest: &Guest, plan: u8) -> Chain {
    let [a, b, c] = &guest.filters;
    let filters: &[_] = match plan % 6 {
        0 => &[a, b],
        1 => &[b, a],
        2 => &[a],
        3 => &[b],
        4 => &[a, c],
        _ => &[b, b],
    };
    let steps = filters.iter().enumerate().map(|(at, filter)| Step {
        filter: (*filter).clone(),
        failure_mode: if plan >> (6 + at) & 1 == 0 {
            FailureMode::Open
        } else {
            FailureMode::Closed
        },
    });
    Chain::new(steps.collect())
}

/// An exchange whose request has fields and a path of the input.
///
/// # Panics
/// Never.
pub fn exchange(input: &mut Input<'_>) -> Exchange {
    let mut request = RequestHead {
        headers: own(input.fields()),
        ..RequestHead::default()
    };
    request.headers.remove(http::header::HOST);
    assert!(request.set_authority("a.example"));
    // What is no path leaves the one that is there.
    let _set = request.set_path_and_query(&String::from_utf8_lossy(input.piece()));
    let nowhere = "127.0.0.1:1".parse().expect("an address");
    Exchange::new(request, Facts::new(nowhere, nowhere, MARK))
}

/// Hands each filter its programs.
fn programs(run: &mut Run, input: &mut Input<'_>) {
    let exchange = run.exchange();
    let count = input.byte() % 16;
    for _ in 0..count {
        let at = input.byte();
        let word = ["a", "b", "c"][usize::from(at) % 3];
        let program = Bytes::copy_from_slice(input.piece());
        exchange.set_shared("fuzz", &format!("{word}/{}", at / 3 % 7), program);
    }
}

/// An exchange on its way.
struct Passage<'a> {
    chain: &'a Chain,
    run: Run,
    reply: Option<Reply>,
    /// The client leaves as soon as a call waits.
    impatient: bool,
    gone: bool,
}

impl<'a> Passage<'a> {
    fn new(chain: &'a Chain, exchange: Exchange, plan: u8) -> Self {
        Self {
            chain,
            run: chain.start(exchange),
            reply: None,
            impatient: plan & 0x38 == 0x38,
            gone: false,
        }
    }

    /// Head, body and trailers of one message. A reply or failure ends it.
    async fn message(&mut self, direction: Direction, body: &Bytes) {
        loop {
            let chain = self.chain;
            let outcome = self.wait(|run, cx| match direction {
                Direction::Request => chain.poll_request_head(run, cx),
                Direction::Response => chain.poll_response_head(run, cx),
            });
            match outcome.await {
                None => return,
                Some(HeadOutcome::Done) => break,
                Some(HeadOutcome::Reply(_, reply)) => return self.end(direction, *reply),
                Some(HeadOutcome::Failed(_, error)) => return self.fail(direction, &error),
                Some(HeadOutcome::Body(at, plan)) => {
                    if !self.body(direction, at, plan, body).await {
                        return;
                    }
                }
            }
        }
        self.trailers(direction).await;
    }

    /// The body for one filter; false when the message is over.
    async fn body(&mut self, direction: Direction, at: StepIndex, plan: BodyPlan, body: &Bytes) -> bool {
        let half = body.len() / 2;
        let halves = || vec![(body.slice(..half), false), (body.slice(half..), true)];
        let chunks = match plan {
            BodyPlan::Chunks => halves(),
            BodyPlan::Whole { limit, .. } if body.len() as u64 <= limit => vec![(body.clone(), true)],
            BodyPlan::Whole {
                oversize: Oversize::Skip,
                ..
            } => Vec::new(),
            BodyPlan::Whole {
                oversize: Oversize::Stream,
                ..
            } => halves(),
            BodyPlan::Whole { limit, .. } => {
                assert!(limit <= LIMITS.body);
                if self.chain.body_too_large(at, &mut self.run, limit).is_err() {
                    self.end(direction, Reply::new(StatusCode::PAYLOAD_TOO_LARGE));
                    return false;
                }
                Vec::new()
            }
        };
        for (bytes, end) in chunks {
            let (chain, chunk) = (self.chain, Chunk { bytes, end });
            let outcome = self
                .wait(|run, cx| chain.poll_body(run, direction, at, &chunk, cx))
                .await;
            match outcome {
                None => return false,
                Some(BodyOutcome::Pass(bytes)) => {
                    assert!(bytes.len() <= LIMITS.memory as usize + chunk.bytes.len())
                }
                Some(BodyOutcome::Reply(reply)) => {
                    self.end(direction, *reply);
                    return false;
                }
                Some(BodyOutcome::Failed(error)) => {
                    self.fail(direction, &error);
                    return false;
                }
            }
        }
        true
    }

    async fn trailers(&mut self, direction: Direction) {
        let chain = self.chain;
        match self.wait(|run, cx| chain.poll_trailers(run, direction, cx)).await {
            None | Some(TrailersOutcome::Done) => {}
            Some(TrailersOutcome::Reply(reply)) => self.end(direction, *reply),
            Some(TrailersOutcome::Failed(error)) => self.fail(direction, &error),
        }
    }

    async fn log(&mut self) {
        let chain = self.chain;
        let _done = self.wait(|run, cx| chain.poll_log(run, cx)).await;
    }

    /// Waits for a step of the chain; `None` when the client left.
    async fn wait<T>(&mut self, mut poll: impl FnMut(&mut Run, &mut Context<'_>) -> Poll<T>) -> Option<T> {
        if self.gone {
            return None;
        }
        let impatient = self.impatient;
        let run = &mut self.run;
        let outcome = poll_fn(|cx| match poll(run, cx) {
            Poll::Pending if impatient => Poll::Ready(None),
            other => other.map(Some),
        })
        .await;
        if outcome.is_none() {
            // The call that waits is abandoned.
            let _exchange = self.run.exchange();
            self.gone = true;
        }
        outcome
    }

    fn end(&mut self, direction: Direction, reply: Reply) {
        check_fields(&reply.headers);
        assert!(!reply.status.is_informational());
        assert!(reply.body.len() <= LIMITS.memory as usize);
        if direction == Direction::Request {
            self.reply = Some(reply);
        }
    }

    fn fail(&mut self, direction: Direction, error: &FilterError) {
        check_error(error);
        self.end(direction, Reply::new(StatusCode::INTERNAL_SERVER_ERROR));
    }

    fn respond(&mut self, reply: Reply) -> Bytes {
        let response = &mut self.run.exchange().response;
        response.status = Some(reply.status);
        response.headers = reply.headers;
        reply.body
    }

    fn check(&mut self) {
        let exchange = self.run.exchange();
        assert_eq!(exchange.facts.connection_id, MARK, "the exchange is another one");
        check_exchange(exchange, LIMITS.memory as usize, CALLS);
    }
}

fn check_error(error: &FilterError) {
    assert_ne!(
        error.reason,
        FailureReason::Exhausted,
        "a lease was lost: {}",
        error.message
    );
    assert_ne!(
        error.reason,
        FailureReason::Deadline,
        "programs are short: {}",
        error.message
    );
}

/// Ends a row of failures with a call that does nothing, after the wait that its back-off asks for.
fn calm(guest: &Guest) {
    for _ in 0..50 {
        let call = Call {
            phase: Phase::Log,
            exchange: Exchange::default(),
            kept: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let mut call = Some(call);
        let mut waiting = None;
        let finished = runtime.block_on(poll_fn(|cx| match (call.take(), &mut waiting) {
            (Some(call), _) => match guest.calm.call(call, cx) {
                Progress::Done(finished) => Poll::Ready(finished),
                Progress::Waiting(it) => {
                    waiting = Some(it);
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            },
            (None, Some(it)) => it.poll(cx),
            (None, None) => unreachable!("it was called"),
        }));
        match finished.result {
            Ok(_) => return,
            Err(error) => check_error(&error),
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    panic!("the guest does not come back");
}

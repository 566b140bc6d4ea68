//! A request from its head to its response: one straight line.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header;
use http::{Method, Request, Response, StatusCode, request};
use http_body::Body;
use hyper::body::Incoming;
use weir_filter::{
    BodyPlan, Chunk, Direction, Exchange, Facts, HeadOutcome, Oversize, Phases, Reason, Reply, RequestHead,
    StepIndex,
};
use weir_model::BackendTarget;
use weir_model::route::MatchQuery;

use crate::body::{BodyError, Collected, Passing};
use crate::connection::Downstream;
use crate::flow::Flow;
use crate::handler::{self, ResponseSource};
use crate::headers::Refusal;
use crate::plan::{Place, PlanHandler};
use crate::upstream::{Answer, Pool, UpstreamError};
use crate::worker::WorkerPlan;
use crate::{headers, response};

/// The body of every response.
pub(crate) type ResponseBody = Passing<ResponseSource>;

/// Handles one request. Dropping the future (the client left) drops the upstream connection with it.
pub(crate) async fn handle(
    request: Request<Incoming>,
    downstream: &Rc<Downstream>,
) -> Response<ResponseBody> {
    let plan = downstream.worker.plan();
    let (mut head, incoming) = request.into_parts();
    let admitted = headers::admit(&mut head);
    let found = admitted.and_then(|()| find(&plan, downstream, &head));
    let place = found
        .as_ref()
        .ok()
        .copied()
        .or_else(|| witness(&plan, downstream, &head));
    let flow = Flow::new(plan, place, exchange(head, downstream), downstream);
    name_place(&flow);
    let mut body = Passing::new(Some(incoming), Direction::Request, Rc::clone(&flow));

    let admitted = match found {
        Ok(_) => request_phases(&flow, &mut body).await,
        Err((reason, detail)) => {
            Err(flow.with(|it| response::for_reason(it, reason, Some(detail.to_owned()))))
        }
    };
    let answer = match admitted {
        Ok(()) => forward(&flow, body).await,
        Err(reply) => Err(reply),
    };
    let answer = answer.unwrap_or_else(|reply| replied(&flow, *reply));
    let answer = response_phases(&flow, answer).await;
    finish(&flow, answer)
}

fn find(plan: &WorkerPlan, downstream: &Downstream, head: &request::Parts) -> Result<Place, Refusal> {
    let host = headers::host(&head.headers);
    let query = MatchQuery {
        host: &host,
        path: head.uri.path(),
        query: head.uri.query(),
        method: &head.method,
        headers: &head.headers,
    };
    let plan = plan.plan();
    let place = plan
        .socket(downstream.socket)
        .and_then(|socket| plan.find(socket, &query));
    place.ok_or((Reason::NoRoute, "no listener serves this host"))
}

/// Whose access log a refused request belongs into.
fn witness(plan: &WorkerPlan, downstream: &Downstream, head: &request::Parts) -> Option<Place> {
    let plan = plan.plan();
    plan.witness(plan.socket(downstream.socket)?, &headers::host(&head.headers))
}

fn exchange(head: request::Parts, downstream: &Downstream) -> Exchange {
    let request::Parts {
        method,
        uri,
        version,
        headers,
        ..
    } = head;
    let facts = Facts::new(downstream.remote, downstream.local, downstream.id);
    Exchange::new(
        RequestHead {
            method,
            uri,
            version,
            headers,
        },
        facts,
    )
}

/// Notes where the exchange is, for filters. Without filters nobody asks, and the shared counts of these
/// names are not touched.
fn name_place(flow: &Flow) {
    if !flow.skips(Phases::all()) {
        flow.with(|exchange| {
            exchange.facts.listener = flow.listener().map(|it| it.name.clone());
            exchange.facts.route = flow.route().map(|it| it.name.clone());
        });
    }
}

/// Runs the request phases; a reply ends the way to the upstream.
async fn request_phases(flow: &Rc<Flow>, body: &mut Passing<Incoming>) -> Result<(), Box<Reply>> {
    loop {
        match flow.request_head().await {
            HeadOutcome::Done => break,
            HeadOutcome::Reply(_, reply) => return Err(filter_reply(flow, reply)),
            HeadOutcome::Failed(_, error) => return Err(flow.with(|it| response::for_failure(it, &error))),
            HeadOutcome::Body(step, plan) => {
                flow.with(|exchange| exchange.request.headers.remove(header::CONTENT_LENGTH));
                give_body(flow, body, Direction::Request, step, plan).await?;
            }
        }
    }
    match flow.route() {
        Some(_) => Ok(()),
        None => Err(flow.with(|it| response::for_reason(it, Reason::NoRoute, None))),
    }
}

/// Who answers a request.
enum Target {
    Endpoint(Rc<Pool>),
    Handler(Arc<PlanHandler>),
}

/// Lets one of the route's backends answer the request and takes over the response head.
async fn forward(flow: &Rc<Flow>, body: Passing<Incoming>) -> Result<ResponseBody, Box<Reply>> {
    let target =
        pick(flow).map_err(|(reason, detail)| flow.with(|it| response::for_reason(it, reason, detail)))?;
    match target {
        Target::Endpoint(pool) => send(flow, &pool, body).await,
        Target::Handler(handler) => handle_here(flow, &handler, body).await,
    }
}

/// Lets a handler answer.
async fn handle_here(
    flow: &Rc<Flow>,
    target: &PlanHandler,
    body: Passing<Incoming>,
) -> Result<ResponseBody, Box<Reply>> {
    let handled = match handler::ask(flow, &target.handler, body).await {
        // It may have answered before a filter was done with the request's body.
        Ok(handled) => flow.request_released().await.map(|()| handled).map_err(|_| None),
        Err(error) => Err(Some(error)),
    };
    let handled = handled.map_err(|error| {
        let interruption = flow.interruption();
        flow.with(|it| match (interruption, error) {
            (Some(interruption), _) => response::for_interruption(it, interruption),
            (None, Some(error)) => response::for_handler(it, &error),
            (None, None) => response::for_reason(it, Reason::DownstreamReset, None),
        })
    })?;
    let (status, headers, body) = handled.into_parts(flow);
    let timed = !flow.skips(Phases::RESPONSE_HEAD | Phases::RESPONSE_BODY | Phases::LOG);
    flow.with(|exchange| {
        let facts = &mut exchange.facts;
        facts.response_after = timed.then(|| facts.start.elapsed());
        exchange.response.status = Some(status);
        exchange.response.headers = headers;
    });
    Ok(Passing::new(Some(body), Direction::Response, Rc::clone(flow)))
}

/// Sends the request to an endpoint.
async fn send(flow: &Rc<Flow>, pool: &Rc<Pool>, body: Passing<Incoming>) -> Result<ResponseBody, Box<Reply>> {
    let downstream = flow.downstream();
    let sent = downstream
        .bounded(pool.send(flow, &downstream.client, body))
        .await;
    let sent = sent.unwrap_or_else(|| {
        Err(UpstreamError::Timeout {
            endpoint: pool.endpoint().to_string(),
        })
    });
    // The endpoint may have answered before a filter was done with the request's body.
    let answered = match sent {
        Ok(answer) => flow.request_released().await.map(|()| answer).map_err(|_| None),
        Err(error) => Err(Some(error)),
    };
    answered.map(|answer| take_over(flow, answer)).map_err(|error| {
        let interruption = flow.interruption();
        flow.with(|it| match (interruption, error) {
            (Some(interruption), _) => response::for_interruption(it, interruption),
            (None, Some(error)) => response::for_upstream(it, &error),
            (None, None) => response::for_reason(it, Reason::DownstreamReset, None),
        })
    })
}

/// Chooses a backend by weight and, where it is a cluster, its endpoint in turn.
fn pick(flow: &Flow) -> Result<Target, (Reason, Option<String>)> {
    let nothing = || (Reason::NoBackend, None);
    let route = flow.route().ok_or_else(nothing)?;
    let backend = match route.backends.as_slice() {
        [only] if only.weight > 0 => *only,
        _ if route.weight == 0 => return Err(nothing()),
        _ => route
            .backend_at(flow.downstream().worker.random(route.weight))
            .ok_or_else(nothing)?,
    };
    let answers = |name: &Arc<str>| {
        if !flow.skips(Phases::all()) {
            flow.with(|exchange| exchange.facts.upstream_cluster = Some(Arc::clone(name)));
        }
    };
    match backend.target {
        BackendTarget::Unresolved => Err(nothing()),
        BackendTarget::Plugin(index) => {
            let handler = flow.plan().plan().handler(index).ok_or_else(nothing)?;
            answers(&handler.name);
            Ok(Target::Handler(Arc::clone(handler)))
        }
        BackendTarget::Cluster(index) => {
            let cluster = flow.plan().cluster(index).ok_or_else(nothing)?;
            answers(&cluster.name);
            let pool = cluster.next().map(Target::Endpoint);
            pool.ok_or_else(|| (Reason::NoEndpoint, Some(cluster.name.to_string())))
        }
    }
}

/// Takes the upstream's head into the exchange.
fn take_over(flow: &Rc<Flow>, answer: Answer) -> ResponseBody {
    let timed = !flow.skips(Phases::RESPONSE_HEAD | Phases::RESPONSE_BODY | Phases::LOG);
    flow.with(|exchange| {
        let facts = &mut exchange.facts;
        facts.response_after = timed.then(|| facts.start.elapsed());
        (facts.upstream_remote, facts.upstream_local) = (Some(answer.remote), Some(answer.local));
        exchange.response.status = Some(answer.status);
        exchange.response.headers = answer.headers;
    });
    let body = ResponseSource::Upstream(answer.body);
    Passing::new(Some(body), Direction::Response, Rc::clone(flow))
}

/// Takes a reply made here into the exchange, in place of any other response.
fn replied(flow: &Rc<Flow>, reply: Reply) -> ResponseBody {
    let Reply {
        status,
        headers,
        body,
    } = reply;
    flow.with(|exchange| {
        exchange.response.status = Some(status);
        exchange.response.headers = headers;
    });
    Passing::of_bytes(body, Direction::Response, Rc::clone(flow))
}

/// Runs the response phases. A reply made here replaces the response; the filters not yet passed see it.
async fn response_phases(flow: &Rc<Flow>, mut body: ResponseBody) -> ResponseBody {
    loop {
        let replaced = match flow.response_head().await {
            HeadOutcome::Done => return body,
            HeadOutcome::Reply(_, reply) => Err(filter_reply(flow, reply)),
            HeadOutcome::Failed(_, error) => Err(flow.with(|it| response::for_failure(it, &error))),
            HeadOutcome::Body(step, plan) => {
                flow.with(|exchange| exchange.response.headers.remove(header::CONTENT_LENGTH));
                give_body(flow, &mut body, Direction::Response, step, plan).await
            }
        };
        if let Err(reply) = replaced {
            body = replied(flow, *reply);
        }
    }
}

/// Gives a filter its body as it planned.
async fn give_body<B>(
    flow: &Rc<Flow>,
    body: &mut Passing<B>,
    direction: Direction,
    step: StepIndex,
    plan: BodyPlan,
) -> Result<(), Box<Reply>>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    let (limit, oversize) = match plan {
        BodyPlan::Whole { limit, oversize } => (limit, oversize),
        // There is no body: the filter sees its end at once, and the message stays one without a body.
        BodyPlan::Chunks if body.has_no_bytes() => (0, Oversize::Skip),
        BodyPlan::Chunks => {
            body.through(step);
            return Ok(());
        }
    };
    let collected = collect(flow, body, limit).await;
    let interrupted = || match flow.interruption() {
        Some(interruption) => flow.with(|it| response::for_interruption(it, interruption)),
        None => flow
            .with(|it| response::for_reason(it, broken(direction), Some("its body ended early".to_owned()))),
    };
    match (collected, oversize) {
        (None, _) => Err(interrupted()),
        (Some(Collected::Whole(bytes)), _) => {
            let chunk = Chunk { bytes, end: true };
            let passed = poll_fn(|cx| flow.poll_chunk(direction, step, &chunk, cx)).await;
            body.replace(passed.map_err(|_| interrupted())?);
            Ok(())
        }
        (Some(Collected::TooLarge), Oversize::Skip) => Ok(()),
        (Some(Collected::TooLarge), Oversize::Stream) => {
            body.through(step);
            Ok(())
        }
        (Some(Collected::TooLarge), Oversize::Reject) => flow
            .body_too_large(step, limit)
            .map_err(|error| flow.with(|it| response::for_failure(it, &error))),
    }
}

/// Collects a body; then what a filter holds of the request is waited for. `None` when either ends the exchange.
async fn collect<B>(flow: &Flow, body: &mut Passing<B>, limit: u64) -> Option<Collected>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    let collected = body.collect(limit).await.ok()?;
    flow.request_released().await.ok()?;
    Some(collected)
}

const fn broken(direction: Direction) -> Reason {
    match direction {
        Direction::Request => Reason::DownstreamReset,
        Direction::Response => Reason::UpstreamReset,
    }
}

fn filter_reply(flow: &Flow, reply: Box<Reply>) -> Box<Reply> {
    flow.with(|exchange| exchange.facts.reason = Some(Reason::FilterReply));
    reply
}

/// Hands the response over. A filter may have given a body, or a status that has none, to a message that
/// cannot carry one: then neither the body nor its length is sent (RFC 9110 §8.6).
fn finish(flow: &Rc<Flow>, mut body: ResponseBody) -> Response<ResponseBody> {
    let bodiless = flow.with(|exchange| {
        let status = exchange.response.status;
        let none = status.is_some_and(|it| it == StatusCode::NO_CONTENT || it.is_informational());
        if none {
            exchange.response.headers.remove(header::CONTENT_LENGTH);
        }
        none || status == Some(StatusCode::NOT_MODIFIED) || exchange.request.method == Method::HEAD
    });
    if bodiless && !body.is_end_stream() {
        body.discard();
    }
    if flow.plan().plan().shows_reasons() {
        flow.with(response::show_reason);
    }
    let keep = !flow.skips(Phases::LOG | Phases::RESPONSE_BODY);
    let mut response = Response::new(body);
    flow.with(|exchange| {
        let head = &mut exchange.response;
        *response.status_mut() = head.status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = if keep {
            head.headers.clone()
        } else {
            std::mem::take(&mut head.headers)
        };
    });
    response
}

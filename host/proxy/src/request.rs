//! A request from its head to its response: one straight line.

use std::rc::Rc;

use bytes::Bytes;
use http::header;
use http::{Method, Request, Response, StatusCode, request};
use http_body::Body;
use hyper::body::Incoming;
use weir_filter::{
    BodyPlan, Exchange, Facts, HeadOutcome, Oversize, Phases, Reason, Reply, RequestHead, StepIndex,
};
use weir_model::route::MatchQuery;

use crate::body::{BodyError, Collected, Passing};
use crate::connection::Downstream;
use crate::flow::{Direction, Flow};
use crate::headers::Refusal;
use crate::plan::Place;
use crate::upstream::{Answer, Pool, UpstreamBody, UpstreamError};
use crate::worker::WorkerPlan;
use crate::{headers, response};

/// The body of every response.
pub(crate) type ResponseBody = Passing<UpstreamBody>;

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
    let answer = answer.unwrap_or_else(|reply| replied(&flow, reply));
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
async fn request_phases(flow: &Rc<Flow>, body: &mut Passing<Incoming>) -> Result<(), Reply> {
    let mut after = None;
    loop {
        let outcome = flow.with_chain(HeadOutcome::Done, |chain, exchange, run| {
            chain.request_head(exchange, run, after)
        });
        match outcome {
            HeadOutcome::Done => break,
            HeadOutcome::Reply(_, reply) => return Err(filter_reply(flow, reply)),
            HeadOutcome::Failed(_, error) => return Err(flow.with(|it| response::for_failure(it, &error))),
            HeadOutcome::Body(step, plan) => {
                flow.with(|exchange| exchange.request.headers.remove(header::CONTENT_LENGTH));
                give_body(flow, body, Direction::Request, step, plan).await?;
                after = Some(step);
            }
        }
    }
    match flow.route() {
        Some(_) => Ok(()),
        None => Err(flow.with(|it| response::for_reason(it, Reason::NoRoute, None))),
    }
}

/// Sends the request to an endpoint of the route's cluster and takes over the response head.
async fn forward(flow: &Rc<Flow>, body: Passing<Incoming>) -> Result<ResponseBody, Reply> {
    let downstream = flow.downstream();
    let pool =
        pick(flow).map_err(|(reason, detail)| flow.with(|it| response::for_reason(it, reason, detail)))?;
    let sent = downstream
        .bounded(pool.send(flow, &downstream.client, body))
        .await;
    let sent = sent.unwrap_or_else(|| {
        Err(UpstreamError::Timeout {
            endpoint: pool.endpoint().to_string(),
        })
    });
    match sent {
        Ok(answer) => Ok(answered(flow, answer)),
        Err(error) => Err(match flow.interruption() {
            Some(interruption) => flow.with(|it| response::for_interruption(it, interruption)),
            None => flow.with(|it| response::for_upstream(it, &error)),
        }),
    }
}

/// Chooses a backend by weight and an endpoint of its cluster in turn.
fn pick(flow: &Flow) -> Result<Rc<Pool>, (Reason, Option<String>)> {
    let nothing = || (Reason::NoBackend, None);
    let route = flow.route().ok_or_else(nothing)?;
    let backend = match route.backends.as_slice() {
        [only] if only.weight > 0 => *only,
        _ if route.weight == 0 => return Err(nothing()),
        _ => route
            .backend_at(flow.downstream().worker.random(route.weight))
            .ok_or_else(nothing)?,
    };
    let cluster = backend
        .cluster
        .and_then(|index| flow.plan().cluster(index))
        .ok_or_else(nothing)?;
    if !flow.skips(Phases::all()) {
        flow.with(|exchange| exchange.facts.upstream_cluster = Some(cluster.name.clone()));
    }
    cluster
        .next()
        .ok_or_else(|| (Reason::NoEndpoint, Some(cluster.name.to_string())))
}

/// Takes the upstream's head into the exchange.
fn answered(flow: &Rc<Flow>, answer: Answer) -> ResponseBody {
    let timed = !flow.skips(Phases::RESPONSE_HEAD | Phases::RESPONSE_BODY | Phases::LOG);
    flow.with(|exchange| {
        let facts = &mut exchange.facts;
        facts.response_after = timed.then(|| facts.start.elapsed());
        (facts.upstream_remote, facts.upstream_local) = (Some(answer.remote), Some(answer.local));
        exchange.response.status = Some(answer.status);
        exchange.response.headers = answer.headers;
    });
    Passing::new(Some(answer.body), Direction::Response, Rc::clone(flow))
}

/// Takes a reply made here into the exchange, in place of any other response.
fn replied(flow: &Rc<Flow>, reply: Reply) -> ResponseBody {
    flow.with(|exchange| {
        exchange.response.status = Some(reply.status);
        exchange.response.headers = reply.headers;
    });
    Passing::of_bytes(reply.body, Direction::Response, Rc::clone(flow))
}

/// Runs the response phases. A reply made here replaces the response; the filters not yet passed see it.
async fn response_phases(flow: &Rc<Flow>, mut body: ResponseBody) -> ResponseBody {
    let mut after = None;
    loop {
        let outcome = flow.with_chain(HeadOutcome::Done, |chain, exchange, run| {
            chain.response_head(exchange, run, after)
        });
        let (step, replaced) = match outcome {
            HeadOutcome::Done => return body,
            HeadOutcome::Reply(step, reply) => (step, Err(filter_reply(flow, reply))),
            HeadOutcome::Failed(step, error) => {
                (step, Err(flow.with(|it| response::for_failure(it, &error))))
            }
            HeadOutcome::Body(step, plan) => {
                flow.with(|exchange| exchange.response.headers.remove(header::CONTENT_LENGTH));
                (
                    step,
                    give_body(flow, &mut body, Direction::Response, step, plan).await,
                )
            }
        };
        if let Err(reply) = replaced {
            body = replied(flow, reply);
        }
        after = Some(step);
    }
}

/// Gives a filter its body as it planned.
async fn give_body<B>(
    flow: &Rc<Flow>,
    body: &mut Passing<B>,
    direction: Direction,
    step: StepIndex,
    plan: BodyPlan,
) -> Result<(), Reply>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    let (limit, oversize) = match plan {
        BodyPlan::Whole { limit, oversize } => (limit, oversize),
        // There is no body: the filter sees its end at once, and the message stays one without a body.
        BodyPlan::Chunks if body.is_over() => (0, Oversize::Skip),
        BodyPlan::Chunks => {
            body.through(step);
            return Ok(());
        }
    };
    let collected = body.collect(limit).await;
    let interrupted = || match flow.interruption() {
        Some(interruption) => flow.with(|it| response::for_interruption(it, interruption)),
        None => flow
            .with(|it| response::for_reason(it, broken(direction), Some("its body ended early".to_owned()))),
    };
    match (collected, oversize) {
        (Err(_), _) => Err(interrupted()),
        (Ok(Collected::Whole(bytes)), _) => {
            let passed = flow
                .chunk(direction, &[step], bytes, true)
                .ok_or_else(interrupted)?;
            body.replace(passed);
            Ok(())
        }
        (Ok(Collected::TooLarge), Oversize::Skip) => Ok(()),
        (Ok(Collected::TooLarge), Oversize::Stream) => {
            body.through(step);
            Ok(())
        }
        (Ok(Collected::TooLarge), Oversize::Reject) => flow
            .with_chain(Ok(()), |chain, _, run| chain.body_too_large(step, run, limit))
            .map_err(|error| flow.with(|it| response::for_failure(it, &error))),
    }
}

const fn broken(direction: Direction) -> Reason {
    match direction {
        Direction::Request => Reason::DownstreamReset,
        Direction::Response => Reason::UpstreamReset,
    }
}

fn filter_reply(flow: &Flow, reply: Reply) -> Reply {
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

//! Built-in plugin transformation: edits requests and responses by templates.

mod config;
mod engine;
mod function;
mod policy;
mod source;

use std::rc::Rc;

use weir_sdk::{
    BodyAction, Chunk, Exchange, HeadAction, Oversize, Phases, Policy, Replied, Reply, Whole, log,
};

use crate::policy::{Edit, Outcome, Plan, Refusal, Transform};
use crate::source::{RequestPhase, ResponsePhase, Source};

struct Transformation {
    request: Option<Transform>,
    response: Option<Transform>,
}

/// The message that a phase is about.
#[derive(Clone, Copy)]
enum Side {
    Request,
    Response,
}

impl Policy for Transformation {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let config: config::Config = weir_sdk::from_json(config)?;
        let compile = |transform: Option<config::Transform>, side: &str| {
            transform
                .map(|transform| Transform::compile(&transform, side))
                .transpose()
        };
        Ok(Self {
            request: compile(config.request, "request")?,
            response: compile(config.response, "response")?,
        })
    }

    fn phases(&self) -> Phases {
        let side = |transform: &Option<Transform>, head: Phases, body: Phases| match transform {
            None => Phases::empty(),
            Some(transform) if transform.plan() == Plan::Head => head,
            Some(_) => head | body,
        };
        side(&self.request, Phases::REQUEST_HEAD, Phases::REQUEST_BODY)
            | side(&self.response, Phases::RESPONSE_HEAD, Phases::RESPONSE_BODY)
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        let Some(transform) = &self.request else {
            return HeadAction::Next;
        };
        let tunnel = exchange.request.method() == "CONNECT" || exchange.request.has_header("upgrade");
        head(transform, Side::Request, tunnel, exchange)
    }

    fn on_request_body(&self, exchange: &mut Exchange, chunk: Chunk) -> BodyAction {
        self.request
            .as_ref()
            .map_or(BodyAction::Next, |t| body(t, Side::Request, &chunk, exchange))
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        let Some(transform) = &self.response else {
            return HeadAction::Next;
        };
        let tunnel = exchange.response.status() == 101;
        head(transform, Side::Response, tunnel, exchange)
    }

    fn on_response_body(&self, exchange: &mut Exchange, chunk: Chunk) -> BodyAction {
        self.response
            .as_ref()
            .map_or(BodyAction::Next, |t| body(t, Side::Response, &chunk, exchange))
    }
}

weir_sdk::policy!(Transformation);

impl Side {
    fn source(self) -> Rc<dyn Source> {
        match self {
            Self::Request => Rc::new(RequestPhase),
            Self::Response => Rc::new(ResponsePhase),
        }
    }

    /// Where a body waits for the body phase.
    const fn note(self) -> &'static str {
        match self {
            Self::Request => "request-body",
            Self::Response => "response-body",
        }
    }
}

fn head(transform: &Transform, side: Side, tunnel: bool, exchange: &mut Exchange) -> HeadAction {
    let plan = transform.plan();
    if plan == Plan::Whole && !tunnel {
        return Whole {
            limit: 0,
            oversize: Oversize::Reject,
        }
        .into();
    }
    // No template can see the body here, so for them it is empty.
    let outcome = match transform.evaluate(side.source(), (!tunnel).then_some(b"")) {
        Ok(outcome) => outcome,
        Err(refusal) => return refuse(&refusal, exchange).into(),
    };
    let body = apply(outcome, side, exchange);
    match body {
        Some(body) if plan == Plan::Replace => {
            exchange.set_note(side.note(), body);
            HeadAction::Chunks
        }
        _ => HeadAction::Next,
    }
}

fn body(transform: &Transform, side: Side, chunk: &Chunk, exchange: &mut Exchange) -> BodyAction {
    if transform.plan() == Plan::Replace {
        // The first chunk takes the whole new body, the others nothing.
        let body = exchange.note(side.note()).unwrap_or_default();
        exchange.replace_body(&body);
        if !body.is_empty() {
            exchange.set_note(side.note(), "");
        }
        return BodyAction::Next;
    }
    match transform.evaluate(side.source(), Some(&chunk.bytes)) {
        Ok(outcome) => {
            if let Some(body) = apply(outcome, side, exchange) {
                exchange.replace_body(body);
            }
            BodyAction::Next
        }
        Err(refusal) => refuse(&refusal, exchange).into(),
    }
}

/// Applies the edits and hands the body back.
fn apply(outcome: Outcome, side: Side, exchange: &mut Exchange) -> Option<String> {
    for error in &outcome.errors {
        log::warn(error);
    }
    for edit in outcome.edits {
        match (edit, side) {
            (Edit::Set(name, value), Side::Request) => exchange.request.set_header(&name, value),
            (Edit::Set(name, value), Side::Response) => exchange.response.set_header(&name, value),
            (Edit::Append(name, value), Side::Request) => exchange.request.append_header(&name, value),
            (Edit::Append(name, value), Side::Response) => exchange.response.append_header(&name, value),
            (Edit::Remove(name), Side::Request) => exchange.request.remove_header(&name),
            (Edit::Remove(name), Side::Response) => exchange.response.remove_header(&name),
            (
                Edit::Share {
                    namespace,
                    key,
                    value,
                },
                _,
            ) => exchange.set_shared(&namespace, &key, value),
        }
    }
    outcome.body
}

fn refuse(refusal: &Refusal, exchange: &mut Exchange) -> Replied {
    let (text, detail) = match refusal {
        Refusal::NotJson(detail) => ("the body is not JSON\n", detail),
        Refusal::Variable(detail) => ("a JSON body is needed\n", detail),
    };
    log::warn(detail);
    exchange.reply(Reply::new(400).text(text))
}

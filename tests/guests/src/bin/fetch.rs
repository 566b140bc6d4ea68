//! Calls a backend in the phase that `at=` names, and shows what came of it in `x-fetch-…` fields.
//!
//! `x-fetch-status` has a status or the name of an error for each call, `x-fetch-body` the body of the last
//! answer, `x-fetch-error` the last error, `x-fetch-answer` the field of the last answer that `answer=` names.
//! Words in the request header `x-fetch` count after those of the configuration. With `replies`, the exchange
//! gets the last answer's status and body, or 502 with the error's name. It imports `upstream`.

use std::time::Duration;

use weir_sdk::upstream::{self, Answer, Call};
use weir_sdk::{Exchange, Phases, Reply};
use weir_test_guests::{At, Options, Probe, Step, show};

struct Fetch {
    options: Options,
}

impl Probe for Fetch {
    const WORDS: &'static [&'static str] = &[
        "at=",
        "whole",
        "backend=",
        "path=",
        "method=",
        "authority=",
        "header=",
        "body=",
        "timeout=",
        "max=",
        "calls=",
        "answer=",
        "replies",
    ];

    fn configure(options: Options) -> Result<Self, String> {
        call(&options)?;
        options.number("calls", 1_u32)?;
        Ok(Self { options })
    }

    fn run(&self, exchange: &mut Exchange, phase: Phases) -> Step {
        let more = exchange.request.header("x-fetch").unwrap_or_default();
        match self.options.with(&more) {
            Ok(options) => fetch(&options, exchange, phase),
            Err(problem) => {
                show(exchange, phase, "x-fetch-error", problem);
                Step::Next
            }
        }
    }
}

fn fetch(options: &Options, exchange: &mut Exchange, phase: Phases) -> Step {
    let (mut statuses, mut last) = (Vec::new(), Err("no call".to_owned()));
    for _ in 0..options.number("calls", 1).unwrap_or(1) {
        last = call(options).and_then(|call| {
            upstream::fetch(options.get("backend").unwrap_or_default(), call)
                .map_err(|error| error.name().to_owned())
        });
        statuses.push(match &last {
            Ok(answer) => answer.status.to_string(),
            Err(error) => error.clone(),
        });
    }
    show(exchange, phase, "x-fetch-status", statuses.join(","));
    match &last {
        Ok(answer) => {
            show(exchange, phase, "x-fetch-body", &answer.body);
            let field = options.get("answer").and_then(|name| answer.header(name));
            if let Some(value) = field {
                show(exchange, phase, "x-fetch-answer", value);
            }
        }
        Err(error) => show(exchange, phase, "x-fetch-error", error),
    }
    if options.has("replies") {
        return Step::Reply(exchange.reply(reply(last)));
    }
    Step::Next
}

fn reply(last: Result<Answer, String>) -> Reply {
    match last {
        Ok(answer) => Reply::new(answer.status).body(answer.body),
        Err(error) => Reply::new(502).text(error),
    }
}

fn call(options: &Options) -> Result<Call, String> {
    let mut call = Call::new(
        options.get("method").unwrap_or("GET"),
        options.get("path").unwrap_or("/"),
    )
    .authority(options.get("authority").unwrap_or_default())
    .body(options.get("body").unwrap_or_default())
    .max_response(options.number("max", 0)?);
    if options.get("timeout").is_some() {
        call = call.timeout(Duration::from_millis(options.number("timeout", 0)?));
    }
    for field in options.all("header") {
        let (name, value) = field
            .split_once(':')
            .ok_or_else(|| format!("header={field}: expected NAME:VALUE"))?;
        call = call.header(name, value);
    }
    Ok(call)
}

weir_sdk::policy!(At<Fetch>);

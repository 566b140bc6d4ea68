//! What a filter did to an exchange, and how two such outcomes differ. The words are for a status that many may read,
//! so they hold no query, no body, and no value of a field that looks like a secret.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use weir_filter::{Action, BodyPlan, Exchange, FilterError, Oversize, Reply};

use super::reason;

/// What is compared of a finished phase.
pub(super) struct Outcome {
    action: String,
    request: String,
    /// Compared, and never shown.
    query: Option<String>,
    request_fields: HeaderMap,
    status: Option<u16>,
    response_fields: HeaderMap,
    request_trailers: HeaderMap,
    response_trailers: HeaderMap,
    reply: Option<Reply>,
    body: Option<u64>,
    shared: u64,
}

/// Differences that are listed at most, and how long one may be.
const MAX_DIFFERENCES: usize = 4;
const MAX_VALUE: usize = 60;

/// Fields with one of these in their names do not show their values.
const SECRET: [&str; 9] = [
    "authorization",
    "cookie",
    "token",
    "secret",
    "api-key",
    "apikey",
    "password",
    "session",
    "credential",
];

impl Outcome {
    pub(super) fn of(exchange: &Exchange, result: &Result<Action, FilterError>) -> Self {
        let request = &exchange.request;
        Self {
            action: match result {
                Ok(action) => name(action),
                Err(error) => reason(error),
            },
            request: format!("{} {}", request.method, request.uri.path()),
            query: request.uri.query().map(str::to_owned),
            request_fields: request.headers.clone(),
            status: exchange.response.status.map(|it| it.as_u16()),
            response_fields: exchange.response.headers.clone(),
            request_trailers: exchange.request_trailers.clone(),
            response_trailers: exchange.response_trailers.clone(),
            reply: exchange.staged_reply().cloned(),
            body: exchange.staged_body().map(hash),
            shared: exchange.shared_hash(),
        }
    }
}

/// How the candidate's outcome differs from the live one; empty when it does not.
pub(super) fn differences(live: &Outcome, candidate: &Outcome) -> Vec<String> {
    let mut list = List::default();
    list.values("action", &live.action, &candidate.action);
    list.values("request", &live.request, &candidate.request);
    list.flag("query", live.query == candidate.query);
    list.fields("request", &live.request_fields, &candidate.request_fields);
    let status = |it: Option<u16>| it.map_or_else(|| "none".to_owned(), |it| it.to_string());
    list.values("status", &status(live.status), &status(candidate.status));
    list.fields("response", &live.response_fields, &candidate.response_fields);
    list.fields(
        "request trailer",
        &live.request_trailers,
        &candidate.request_trailers,
    );
    list.fields(
        "response trailer",
        &live.response_trailers,
        &candidate.response_trailers,
    );
    if let (Some(live), Some(candidate)) = (&live.reply, &candidate.reply) {
        list.values("reply status", live.status.as_str(), candidate.status.as_str());
        list.fields("reply", &live.headers, &candidate.headers);
        list.flag("reply body", live.body == candidate.body);
    }
    list.flag("body", live.body == candidate.body);
    list.flag("shared values", live.shared == candidate.shared);
    list.0
}

#[derive(Default)]
struct List(Vec<String>);

impl List {
    fn push(&mut self, difference: String) {
        if self.0.len() < MAX_DIFFERENCES {
            self.0.push(difference);
        }
    }

    fn values(&mut self, what: &str, live: &str, candidate: &str) {
        if live != candidate {
            self.push(format!("{what} {:?} became {:?}", cut(live), cut(candidate)));
        }
    }

    fn flag(&mut self, what: &str, is_same: bool) {
        if !is_same {
            self.push(format!("{what} differs"));
        }
    }

    fn fields(&mut self, what: &str, live: &HeaderMap, candidate: &HeaderMap) {
        let mut names: Vec<&HeaderName> = live.keys().chain(candidate.keys()).collect();
        names.sort_unstable_by_key(|name| name.as_str());
        names.dedup();
        for name in names {
            if !live.get_all(name).iter().eq(candidate.get_all(name).iter()) {
                let (old, new) = (shown(name, live), shown(name, candidate));
                self.push(format!("{what} field {name} {old} became {new}"));
            }
        }
    }
}

fn shown(name: &HeaderName, fields: &HeaderMap) -> String {
    let values: Vec<&HeaderValue> = fields.get_all(name).iter().collect();
    if values.is_empty() {
        return "(none)".to_owned();
    }
    if is_secret(name) || values.iter().any(|it| it.is_sensitive()) {
        return "(secret)".to_owned();
    }
    let text: Vec<_> = values
        .iter()
        .map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned())
        .collect();
    format!("{:?}", cut(&text.join(", ")))
}

/// Names are lower-case.
fn is_secret(name: &HeaderName) -> bool {
    SECRET.iter().any(|part| name.as_str().contains(part))
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_VALUE).collect()
}

fn name(action: &Action) -> String {
    match action {
        Action::Next => "next".to_owned(),
        Action::Reply => "reply".to_owned(),
        Action::Body(BodyPlan::Chunks) => "body in chunks".to_owned(),
        Action::Body(BodyPlan::Whole { limit, oversize }) => format!(
            "whole body up to {limit} bytes, else {}",
            match oversize {
                Oversize::Reject => "reject",
                Oversize::Skip => "skip",
                Oversize::Stream => "stream",
            }
        ),
    }
}

fn hash(bytes: &bytes::Bytes) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn outcome(edit: impl FnOnce(&mut Exchange)) -> Outcome {
        let mut exchange = Exchange::default();
        edit(&mut exchange);
        Outcome::of(&exchange, &Ok(Action::Next))
    }

    #[test]
    fn the_same_edits_are_equal() {
        let edit = |it: &mut Exchange| {
            it.request.headers.insert("x-a", "1".parse().unwrap());
            it.stage_body("body".into());
        };
        assert_eq!(differences(&outcome(edit), &outcome(edit)), [""; 0]);
    }

    #[test]
    fn differences_name_what_and_how_without_secrets() {
        let live = outcome(|it| {
            it.request
                .headers
                .insert("authorization", "Bearer old".parse().unwrap());
            it.request.headers.insert("x-a", "1".parse().unwrap());
            it.response.status = Some(StatusCode::OK);
        });
        let candidate = outcome(|it| {
            it.request
                .headers
                .insert("authorization", "Bearer new".parse().unwrap());
            it.response.status = Some(StatusCode::FORBIDDEN);
        });
        assert_eq!(
            differences(&live, &candidate),
            [
                "request field authorization (secret) became (secret)",
                "request field x-a \"1\" became (none)",
                "status \"200\" became \"403\"",
            ]
        );
    }

    #[test]
    fn fields_whose_names_tell_of_a_secret_do_not_show_it() {
        let with = |name: &'static str, value: &str| {
            let value = HeaderValue::try_from(value).unwrap();
            outcome(|it| drop(it.request.headers.insert(name, value)))
        };
        for name in [
            "set-cookie",
            "proxy-authorization",
            "x-api-key",
            "x-apikey",
            "x-auth-token",
            "x-amz-security-token",
            "x-client-secret",
            "x-password",
            "x-session-id",
            "x-credentials",
        ] {
            assert_eq!(
                differences(&with(name, "old"), &with(name, "new")),
                [format!("request field {name} (secret) became (secret)")]
            );
        }
    }

    #[test]
    fn a_query_is_compared_and_not_shown() {
        let asks = |target: &'static str| outcome(|it| assert!(it.request.set_path_and_query(target)));
        assert_eq!(
            differences(&asks("/a?key=old"), &asks("/a?key=new")),
            ["query differs"]
        );
        assert_eq!(
            differences(&asks("/a?key=old"), &asks("/b?key=old")),
            ["request \"GET /a\" became \"GET /b\""]
        );
    }
}

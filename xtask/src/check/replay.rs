//! Sends the requests of a `check.txt` and prints each with its answer.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::{Case, Expect};
use crate::client::{Connection, Response};

/// Bodies longer than this are cut in what is printed, never in what is checked.
const SHOWN: usize = 2_000;

/// Headers that say nothing about the gateway.
const DULL: [&str; 4] = ["connection", "content-length", "date", "transfer-encoding"];

/// Sends all requests; returns how many of the cases got another answer than expected.
pub(crate) fn replay(gateway: SocketAddr, cases: &[Case]) -> anyhow::Result<usize> {
    let mut wrong = 0;
    for case in cases {
        println!("\n{}", describe(case));
        let mut answers = Vec::new();
        for _ in 0..case.times {
            // A connection for each, as several invocations of curl would.
            answers.push(Connection::open(gateway)?.exchange(&case.request)?);
        }
        if let Some(last) = answers.last() {
            println!("{}", show(last));
        }
        let unmet: Vec<_> = case
            .expect
            .iter()
            .filter_map(|expect| unmet(expect, &answers))
            .collect();
        for problem in &unmet {
            println!("  MISMATCH: {problem}");
        }
        wrong += usize::from(!unmet.is_empty());
    }
    Ok(wrong)
}

fn describe(case: &Case) -> String {
    let mut text = String::new();
    if !case.title.is_empty() {
        let _ = writeln!(text, "# {}", case.title);
    }
    let _ = write!(text, "> {} {}", case.request.method, case.request.path);
    if case.times > 1 {
        let _ = write!(text, "   ({} times; the last answer is shown)", case.times);
    }
    for (name, value) in &case.request.headers {
        let _ = write!(text, "\n> {name}: {value}");
    }
    text
}

fn show(answer: &Response) -> String {
    let mut text = format!("< {} {}", answer.status, answer.reason);
    for (name, value) in answer
        .headers
        .iter()
        .filter(|(name, _)| !DULL.contains(&name.as_str()))
    {
        let _ = write!(text, "\n< {name}: {value}");
    }
    let body = answer.body.get(..SHOWN).unwrap_or(&answer.body);
    for line in String::from_utf8_lossy(body).lines() {
        let _ = write!(text, "\n< | {line}");
    }
    if answer.body.len() > SHOWN {
        let _ = write!(text, "\n< | ... {} bytes in all", answer.body.len());
    }
    text
}

/// Why an expectation is not met by the answers to its request.
fn unmet(expect: &Expect, answers: &[Response]) -> Option<String> {
    if let Expect::Share {
        percent,
        tolerance,
        text,
    } = expect
    {
        return wrong_share(answers, *percent, *tolerance, text);
    }
    answers.iter().find_map(|answer| wrong(expect, answer))
}

fn wrong(expect: &Expect, answer: &Response) -> Option<String> {
    match expect {
        Expect::Status(status) => {
            (answer.status != *status).then(|| format!("the status is {}, not {status}", answer.status))
        }
        Expect::Header(name, value) => {
            let values: Vec<_> = answer.header(name).collect();
            (!values.contains(&value.as_str())).then(|| format!("header {name} is {values:?}, not {value:?}"))
        }
        Expect::NoHeader(name) => answer
            .header(name)
            .next()
            .map(|value| format!("there is a header `{name}: {value}`")),
        Expect::BodyContains(text) => {
            (!contains(answer, text)).then(|| format!("the body does not contain {text:?}"))
        }
        Expect::BodyIs(text) => {
            let body = String::from_utf8_lossy(&answer.body);
            (body.trim_end() != text).then(|| format!("the body is {:?}, not {text:?}", body.trim_end()))
        }
        Expect::Share { .. } => None,
    }
}

fn wrong_share(answers: &[Response], percent: usize, tolerance: usize, text: &str) -> Option<String> {
    let found = answers.iter().filter(|answer| contains(answer, text)).count();
    let (all, share) = (answers.len(), found * 100);
    let fits = share.abs_diff(percent * all) <= tolerance * all;
    (!fits).then(|| format!("{found} of {all} bodies contain {text:?}, not {percent} % ±{tolerance}"))
}

fn contains(answer: &Response, text: &str) -> bool {
    String::from_utf8_lossy(&answer.body).contains(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Response {
        Response {
            status: 200,
            headers: vec![("x-a".into(), "1".into())],
            body: body.as_bytes().to_vec(),
            ..Response::default()
        }
    }

    fn check(expect: Expect, problem: Option<&str>) {
        let found = unmet(&expect, &[answer("one"), answer("two")]);
        assert_eq!(found.as_deref(), problem);
    }

    fn share(percent: usize, tolerance: usize) -> Expect {
        Expect::Share {
            percent,
            tolerance,
            text: "one".into(),
        }
    }

    #[test]
    fn every_kind_of_expectation_is_met_or_named() {
        check(Expect::Status(200), None);
        check(Expect::Status(404), Some("the status is 200, not 404"));
        check(Expect::Header("X-A".into(), "1".into()), None);
        check(
            Expect::Header("x-a".into(), "2".into()),
            Some("header x-a is [\"1\"], not \"2\""),
        );
        check(
            Expect::Header("x-b".into(), "1".into()),
            Some("header x-b is [], not \"1\""),
        );
        check(Expect::NoHeader("x-b".into()), None);
        check(Expect::NoHeader("x-a".into()), Some("there is a header `x-a: 1`"));
        check(Expect::BodyContains("o".into()), None);
        check(
            Expect::BodyContains("one".into()),
            Some("the body does not contain \"one\""),
        );
        check(
            Expect::BodyIs("one".into()),
            Some("the body is \"two\", not \"one\""),
        );
        check(share(50, 0), None);
        check(share(45, 5), None);
        check(share(80, 8), Some("1 of 2 bodies contain \"one\", not 80 % ±8"));
    }

    #[test]
    fn all_requests_are_sent_and_wrong_answers_are_counted() {
        let backend = crate::echo::start("one", ([127, 0, 0, 1], 0).into()).unwrap();
        let cases = crate::check::parse(
            "GET /a [x-a: 1]\ntimes 3\nstatus 200\nheader x-backend: one\nbody contains x-a: 1\n\nPOST /b\nstatus 201\n",
        );
        assert_eq!(replay(backend, &cases.unwrap()).unwrap(), 1);
    }
}

//! Reads `check.txt`. Every line means something or is an error: a typo must not turn a check off.

use anyhow::{Context, bail, ensure};

use super::{Case, Expect};
use crate::client::Request;

/// Parses the text of a `check.txt`.
pub(crate) fn parse(text: &str) -> anyhow::Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    let mut title = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        let at = || format!("line {}: {line:?}", index + 1);
        let line = line.trim();
        if line.is_empty() {
            inside = false;
            title.clear();
        } else if let Some(comment) = line.strip_prefix('#') {
            title.push(comment.trim().to_owned());
        } else if let Some(case) = cases.last_mut().filter(|_| inside) {
            expectation(case, line).with_context(at)?;
        } else {
            cases.push(start(line, &title).with_context(at)?);
            inside = true;
        }
    }
    ensure!(!cases.is_empty(), "no request in it");
    for case in &cases {
        ensure!(
            !case.expect.is_empty(),
            "{} {}: nothing is expected",
            case.request.method,
            case.request.path
        );
    }
    Ok(cases)
}

fn start(line: &str, title: &[String]) -> anyhow::Result<Case> {
    let (line, fields) = line
        .split_once('[')
        .map_or((line, None), |(line, fields)| (line, Some(fields)));
    let words: Vec<_> = line.split_whitespace().collect();
    let [method, path] = words.as_slice() else {
        bail!("a request is `METHOD /path [name: value]`")
    };
    ensure!(
        method.chars().all(|c| c.is_ascii_uppercase()),
        "{method:?} is no method"
    );
    ensure!(path.starts_with('/'), "the path must start with `/`");
    let mut headers = Vec::new();
    if let Some(fields) = fields {
        let fields = fields
            .trim_end()
            .strip_suffix(']')
            .context("a header ends with `]`")?;
        for field in fields.split(']') {
            headers.push(header(field.trim_start().trim_start_matches('['))?);
        }
    }
    let request = Request {
        method: (*method).to_owned(),
        path: (*path).to_owned(),
        headers,
        body: String::new(),
    };
    Ok(Case {
        title: title.join(" "),
        request,
        times: 1,
        expect: Vec::new(),
    })
}

fn expectation(case: &mut Case, line: &str) -> anyhow::Result<()> {
    let (word, rest) = line.split_once(' ').context("expected a word and a value")?;
    let rest = rest.trim();
    let expect = match word {
        "times" => {
            case.times = rest.parse().context("the number of times")?;
            ensure!(case.times > 0, "zero times checks nothing");
            return Ok(());
        }
        "status" => Expect::Status(rest.parse().context("the status")?),
        "header" => {
            let (name, value) = header(rest)?;
            Expect::Header(name, value)
        }
        "no-header" => Expect::NoHeader(rest.to_owned()),
        "body" => match rest.split_once(' ') {
            Some(("contains", text)) => Expect::BodyContains(text.trim().to_owned()),
            Some(("is", text)) => Expect::BodyIs(text.trim().to_owned()),
            _ => bail!("expected `body contains TEXT` or `body is TEXT`"),
        },
        "share" => share(rest)?,
        _ => bail!("`{word}` is none of status, header, no-header, body, times, share"),
    };
    case.expect.push(expect);
    Ok(())
}

fn share(rest: &str) -> anyhow::Result<Expect> {
    let form = "expected `share P% ±T TEXT`";
    let (percent, rest) = rest.split_once("% ±").context(form)?;
    let (tolerance, text) = rest.split_once(' ').context(form)?;
    Ok(Expect::Share {
        percent: percent.parse().context(form)?,
        tolerance: tolerance.parse().context(form)?,
        text: text.trim().to_owned(),
    })
}

fn header(part: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = part.trim().split_once(':').context("expected `name: value`")?;
    ensure!(
        !name.is_empty() && !name.contains(' '),
        "{name:?} is no header name"
    );
    Ok((name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_expectations_and_titles_are_read_in_order() {
        let cases = parse(concat!(
            "# The form.\n\n# Two\n# lines.\nPOST /a [x-a: 1] [x-b: 2]\nstatus 200\nheader x-c: d e\nno-header x-f\n",
            "body contains g h\n\nGET /i\ntimes 500\nshare 80% ±8 one two\nbody is j\n",
        ))
        .unwrap();
        let [first, second] = cases.as_slice() else {
            panic!("{cases:?}")
        };
        assert_eq!(first.title, "Two lines.");
        assert_eq!(
            (first.request.method.as_str(), first.request.path.as_str()),
            ("POST", "/a")
        );
        assert_eq!(
            first.request.headers,
            [("x-a".into(), "1".into()), ("x-b".into(), "2".into())]
        );
        let expect = [
            Expect::Status(200),
            Expect::Header("x-c".into(), "d e".into()),
            Expect::NoHeader("x-f".into()),
            Expect::BodyContains("g h".into()),
        ];
        assert_eq!((first.expect.as_slice(), first.times), (expect.as_slice(), 1));
        let share = Expect::Share {
            percent: 80,
            tolerance: 8,
            text: "one two".into(),
        };
        assert_eq!((second.title.as_str(), second.times), ("", 500));
        assert_eq!(second.expect, [share, Expect::BodyIs("j".into())]);
    }

    #[test]
    fn a_line_that_means_nothing_is_an_error_with_its_number() {
        let check = |text: &str, expect: &str| {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(expect), "{text:?} gives {error:?}");
        };
        check(
            "GET /\nstatsu 200\n",
            "line 2: \"statsu 200\": `statsu` is none of",
        );
        check("status 200\n", "line 1");
        check("GET\n", "METHOD /path");
        check("GET / [a: b\nstatus 200\n", "ends with `]`");
        check("GET / [a]\nstatus 200\n", "name: value");
        check("GET /\n", "nothing is expected");
        check("GET /\ntimes x\n", "number of times");
        check("GET /\nshare 80 8 a\n", "share P%");
        check("", "no request");
    }
}

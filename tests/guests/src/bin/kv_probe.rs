//! Runs a script against the store, and shows what each step answered in `x-kv-result`, joined by `;`.
//!
//! The script is in the request header `x-kv`, or else the configuration; the configuration `reply` makes the
//! result a reply. It runs in the request head, and the response head shows the result, too. It imports `kv`.
//!
//! | step | answers |
//! |---|---|
//! | `set KEY VALUE [TTL-MS]` | `ok`, or the error's name |
//! | `fill KEY BYTES` | the same, for a value of that size |
//! | `get KEY` | the value, or `(none)` |
//! | `entry KEY` | `VALUE@VERSION`, or `(none)` |
//! | `cas KEY VERSION VALUE [TTL-MS]` | `true`, `false`, or the error's name; the version `last` is that of the last `get` |
//! | `incr KEY DELTA [TTL-MS]` | the sum, or the error's name |
//! | `update KEY DELTA` | the same by compare and set, of a decimal number |
//! | `del KEY` | `ok` |
//! | `keys PREFIX LIMIT` | the keys, joined by `,`; the prefix `*` is the empty one |

use std::time::Duration;

use weir_sdk::{Exchange, HeadAction, Phases, Policy, Reply, kv};
use weir_test_guests::show;

struct KvProbe {
    script: String,
}

weir_sdk::note! {
    struct Shown {
        result: String,
    }
}

impl Policy for KvProbe {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let script = String::from_utf8_lossy(config);
        Ok(Self {
            script: script.trim_matches('"').to_owned(),
        })
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD | Phases::RESPONSE_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        let asked = exchange.request.header_text("x-kv");
        let script = asked.as_deref().unwrap_or(&self.script);
        let result = run(script);
        if self.script == "reply" {
            return exchange.reply(Reply::new(200).text(result)).into();
        }
        show(exchange, Phases::REQUEST_HEAD, "x-kv-result", &result);
        exchange.set_state(&Shown { result });
        HeadAction::Next
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        if let Some(shown) = exchange.state::<Shown>() {
            show(exchange, Phases::RESPONSE_HEAD, "x-kv-result", shown.result);
        }
        HeadAction::Next
    }
}

fn run(script: &str) -> String {
    let mut last = 0;
    let steps = script.split(';').map(str::trim).filter(|step| !step.is_empty());
    let answers: Vec<_> = steps
        .map(|text| step(text, &mut last).unwrap_or_else(|| format!("no step: {text}")))
        .collect();
    answers.join(";")
}

/// One step; `None` when it is malformed.
fn step(text: &str, last: &mut u64) -> Option<String> {
    let words: Vec<_> = text.split_whitespace().collect();
    Some(match words.as_slice() {
        ["set", key, value, ttl @ ..] => answer(kv::set(key, value, time(ttl)?).map(|()| "ok")),
        ["fill", key, bytes] => {
            let value = vec![b'x'; bytes.parse().ok()?];
            answer(kv::set(key, value, None).map(|()| "ok"))
        }
        ["get", key] => entry(key, last).map_or_else(none, |(value, _)| value),
        ["entry", key] => entry(key, last).map_or_else(none, |(value, version)| format!("{value}@{version}")),
        ["cas", key, version, value, ttl @ ..] => {
            let version = if *version == "last" {
                *last
            } else {
                version.parse().ok()?
            };
            answer(kv::compare_and_set(key, version, value, time(ttl)?))
        }
        ["incr", key, delta, ttl @ ..] => answer(kv::increment(key, delta.parse().ok()?, time(ttl)?)),
        ["update", key, delta] => {
            let delta: i64 = delta.parse().ok()?;
            answer(kv::update(key, None, |old| Some(sum(old, delta))).map(text_of))
        }
        ["del", key] => {
            kv::delete(key);
            "ok".to_owned()
        }
        ["keys", prefix, limit] => {
            let prefix = if *prefix == "*" { "" } else { prefix };
            kv::keys(prefix, limit.parse().ok()?).join(",")
        }
        _ => return None,
    })
}

fn entry(key: &str, last: &mut u64) -> Option<(String, u64)> {
    let entry = kv::get(key)?;
    *last = entry.version;
    Some((text_of(Some(entry.value)), entry.version))
}

fn sum(old: Option<&[u8]>, delta: i64) -> Vec<u8> {
    let old = old.and_then(|old| std::str::from_utf8(old).ok()?.parse::<i64>().ok());
    (old.unwrap_or_default() + delta).to_string().into_bytes()
}

fn text_of(value: Option<Vec<u8>>) -> String {
    String::from_utf8_lossy(&value.unwrap_or_default()).into_owned()
}

fn none() -> String {
    "(none)".to_owned()
}

fn answer(result: Result<impl ToString, kv::Error>) -> String {
    result.map_or_else(|error| error.name().to_owned(), |value| value.to_string())
}

/// `None` when there is something, and it is no time.
fn time(words: &[&str]) -> Option<Option<Duration>> {
    match words {
        [] | ["0"] => Some(None),
        [ttl] => Some(Some(Duration::from_millis(ttl.parse().ok()?))),
        _ => None,
    }
}

weir_sdk::policy!(KvProbe);

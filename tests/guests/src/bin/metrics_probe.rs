//! Runs a script of metrics in the request head: the request header `x-metrics`, or else the configuration.
//!
//! Steps, divided by `;`: `add NAME DELTA [LABELS]`, `set NAME VALUE [LABELS]`, `observe NAME VALUE [LABELS]`, with
//! labels as `a=1,b=2`; `series NAME COUNT` adds 1 to that many series, `wide NAME COUNT` uses that many labels at
//! once. A name of `-` is the empty one. `x-metrics-done` counts the steps. It imports `metrics`.

use weir_sdk::{Exchange, HeadAction, Phases, Policy, metrics};

struct MetricsProbe {
    script: String,
}

impl Policy for MetricsProbe {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let script = String::from_utf8_lossy(config);
        Ok(Self {
            script: script.trim_matches('"').to_owned(),
        })
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        let asked = exchange.request.header_text("x-metrics");
        let script = asked.as_deref().unwrap_or(&self.script);
        let done = script.split(';').filter_map(step).count();
        exchange.request.set_header("x-metrics-done", done.to_string());
        HeadAction::Next
    }
}

/// `None` when the step is malformed.
fn step(text: &str) -> Option<()> {
    let words: Vec<_> = text.split_whitespace().collect();
    let [what, name, number, labels @ ..] = words.as_slice() else {
        return None;
    };
    let name = if *name == "-" { "" } else { name };
    let labels = pairs(labels)?;
    match *what {
        "add" => metrics::add(name, &labels, number.parse().ok()?),
        "set" => metrics::set(name, &labels, number.parse().ok()?),
        "observe" => metrics::observe(name, &labels, number.parse().ok()?),
        "series" => {
            for series in 0..number.parse::<u32>().ok()? {
                metrics::add(name, &[("n", &series.to_string())], 1);
            }
        }
        "wide" => {
            let labels: Vec<_> = (0..number.parse::<u32>().ok()?)
                .map(|n| format!("l{n}"))
                .collect();
            let labels: Vec<_> = labels.iter().map(|label| (label.as_str(), "1")).collect();
            metrics::add(name, &labels, 1);
        }
        _ => return None,
    }
    Some(())
}

fn pairs<'a>(words: &[&'a str]) -> Option<Vec<(&'a str, &'a str)>> {
    match words {
        [] => Some(Vec::new()),
        [labels] => labels.split(',').map(|label| label.split_once('=')).collect(),
        _ => None,
    }
}

weir_sdk::policy!(MetricsProbe);

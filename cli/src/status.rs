//! `weir status`: what a running gateway says of itself.

use std::process::ExitCode;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_gateway::admin;
use weir_translate::ObjectStatus;

use crate::args::{Output, Status};
use crate::report;

/// What `GET /status` of the admin endpoint answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusReport {
    /// Each Gateway and the revision it serves.
    pub(crate) gateways: Vec<GatewayReport>,
    /// Why the newest manifests or plugins are not live; empty when they are.
    pub(crate) problems: Vec<String>,
    /// The conditions of every object, as Kubernetes would show them.
    pub(crate) objects: Vec<Value>,
}

/// One Gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GatewayReport {
    /// `namespace/name`.
    pub(crate) name: String,
    /// The revision served; none before the first good one.
    pub(crate) revision: Option<String>,
    /// Where it accepts.
    pub(crate) addresses: Vec<String>,
}

pub(crate) fn run(options: &Status) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let answer = runtime
        .block_on(admin::fetch(options.admin, "/status"))
        .with_context(|| {
            format!(
                "no gateway answers at {}; is `weir run` up, with that --admin address?",
                options.admin
            )
        })?;
    match options.output {
        Output::Json => report::print(&String::from_utf8_lossy(&answer)),
        Output::Text => report::print(&text(&serde_json::from_slice(&answer)?)),
    }
    Ok(ExitCode::SUCCESS)
}

fn text(status: &StatusReport) -> String {
    let mut text = String::new();
    for gateway in &status.gateways {
        let revision = gateway.revision.as_deref().unwrap_or("none");
        let addresses = gateway.addresses.join(", ");
        text.push_str(&format!(
            "Gateway {} serves revision {revision} on {addresses}\n",
            gateway.name
        ));
    }
    if !status.problems.is_empty() {
        let kept = match status.gateways.iter().any(|it| it.revision.is_some()) {
            true => "the last good one stays",
            false => "nothing is served",
        };
        text.push_str(&format!("\nThe newest configuration is not live; {kept}:\n"));
        text.extend(status.problems.iter().map(|problem| format!("  {problem}\n")));
    }
    text.push('\n');
    text.push_str(&report::table(
        ["OBJECT", "PART", "CONDITION", "STATUS", "REASON", "MESSAGE"],
        &status.objects.iter().flat_map(rows).collect::<Vec<_>>(),
    ));
    text
}

fn rows(object: &Value) -> Vec<[String; 6]> {
    let Ok(status) = serde_json::from_value::<ObjectStatus>(object.clone()) else {
        return Vec::new();
    };
    let row = |(part, condition): (String, &weir_translate::Condition)| {
        let reason = condition.reason.clone();
        // A message may quote a plugin's backtrace: one line is enough here, `-o json` has it all.
        let message = condition.message.lines().next().unwrap_or_default().to_owned();
        [
            status.object(),
            part,
            condition.type_.clone(),
            condition.status.clone(),
            reason,
            message,
        ]
    };
    status.all_conditions().map(row).collect()
}

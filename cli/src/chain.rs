//! `weir chain`: the computed chains, with the origin of each filter.

use std::process::ExitCode;

use anyhow::anyhow;
use weir_translate::ChainView;

use crate::args::{Chain, Output};
use crate::{manifest, report};

pub(crate) fn run(options: &Chain) -> anyhow::Result<ExitCode> {
    let translated = manifest::translate(&options.manifests.paths)
        .map_err(|problems| anyhow!(problems.join("\nerror: ")))?;
    let gateways = &translated.output.chains;
    match options.output {
        Output::Json => report::print(&format!("{}\n", serde_json::to_string_pretty(gateways)?)),
        Output::Text => {
            for gateway in gateways {
                report::print(&format!("Gateway {}\n", gateway.gateway));
                for listener in &gateway.listeners {
                    report::print(&format!("\nlistener {}\n{}", listener.name, text(listener)));
                }
                for route in &gateway.routes {
                    let on = route.listeners.join(", ");
                    report::print(&format!(
                        "\nroute {} (after the chain of {on})\n{}",
                        route.name,
                        text(route)
                    ));
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn text(chain: &ChainView) -> String {
    let mut text = String::new();
    if let Some(fault) = &chain.fault {
        text.push_str(&format!("  every request is answered with 500: {fault}\n"));
    }
    if chain.steps.is_empty() {
        text.push_str("  no filters\n");
    } else {
        let rows: Vec<[String; 6]> = chain
            .steps
            .iter()
            .map(|step| {
                [
                    format!("  {}", step.order),
                    step.filter.clone(),
                    step.plugin.clone(),
                    format!("{}/{}", step.stage, step.predicate),
                    format!("{:?}", step.failure_mode).to_lowercase(),
                    step.origin.join(", "),
                ]
            })
            .collect();
        text.push_str(&report::table(
            ["  #", "FILTER", "PLUGIN", "STAGE", "FAILS", "FROM"],
            &rows,
        ));
    }
    for lost in &chain.overridden {
        text.push_str(&format!(
            "  {}: {} gave way to {}: {}\n",
            lost.field, lost.loser, lost.winner, lost.why
        ));
    }
    text
}

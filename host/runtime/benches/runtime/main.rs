//! What running plugins costs, part by part. Prints Markdown tables on stdout and its progress on stderr.
//!
//! Every table is medians over rounds in which its rows take turns, so that a busy moment of the machine touches each
//! alike. It needs the guests of `cargo xtask plugins`; `cargo xtask bench runtime` builds them and runs this.

#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a bench ends with its first failure"
)]

mod bed;
mod body;
mod callout;
mod configuration;
mod exchange;
mod function;
mod instance;
mod log;
mod phase;
mod round;
mod start;

fn main() {
    log::install();
    let parts: [(&str, fn()); 8] = [
        ("phases", phase::run),
        ("host functions", function::run),
        ("bodies", body::run),
        ("exchanges", exchange::run),
        ("callouts", callout::run),
        ("instances", instance::run),
        ("configurations", configuration::run),
        ("starts", start::run),
    ];
    for (at, (name, run)) in parts.into_iter().enumerate() {
        eprintln!("part {} of 8: {name}", at + 1);
        run();
    }
}

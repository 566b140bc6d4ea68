//! The `weir` command: reads arguments and calls the library that does the work. The allocator and the log
//! are set up here and nowhere else.

mod args;
mod chain;
mod manifest;
mod plugin;
mod plugins;
mod report;
mod run;
mod status;
mod translate;
mod validate;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.command {
        Command::Run(options) => run::run(&options, args.log_format),
        Command::Validate(options) => validate::run(&options),
        Command::Translate(options) => translate::run(&options),
        Command::Chain(options) => chain::run(&options),
        Command::Status(options) => status::run(&options),
        Command::Plugin(command) => plugin::run(&command),
    };
    outcome.unwrap_or_else(|error| {
        report::error(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

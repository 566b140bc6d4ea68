//! The `weir` command as its users meet it: a real process, real files, real sockets, real components.

mod bad_input;
mod failure;
mod harness;
mod print;
mod quickstart;
mod reload;

//! The seam between proxy and plugins: what a filter is, what it may do to an exchange, and how a chain
//! of filters runs.
//!
//! `weir-proxy` drives chains and `weir-runtime` implements filters; neither knows the other. Nothing
//! here waits, reads a socket or knows Wasm.

mod action;
mod chain;
mod exchange;
mod failure;
mod filter;
mod reason;

pub use action::{BodyAction, BodyPlan, HeadAction, Oversize, Reply};
pub use chain::{BodyOutcome, Chain, HeadOutcome, Run, Step, StepIndex};
pub use exchange::{Exchange, ExchangeState, Facts, RequestHead, ResponseHead};
pub use failure::{FailureReason, FilterError};
pub use filter::{Filter, Phases};
pub use reason::Reason;

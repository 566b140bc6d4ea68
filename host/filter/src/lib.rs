//! The seam between proxy and plugins: what a filter is, what it may do to an exchange, and how a chain
//! of filters runs.
//!
//! `weir-proxy` drives chains and `weir-runtime` implements filters; neither knows the other. Nothing
//! here reads a socket, spawns a task or knows Wasm.

mod action;
mod call;
mod callout;
mod chain;
mod configured;
mod connection;
mod exchange;
mod failure;
mod filter;
mod handler;
mod reason;
mod run;

pub use action::{Action, BodyPlan, Oversize, Reply};
pub use call::{Call, Chunk, Finished, Kept, Phase, Progress, Waiting};
pub use callout::{
    CalloutError, CalloutRequest, CalloutResponse, CalloutStream, Callouts, FetchFuture, StreamEvent,
};
pub use chain::{BodyOutcome, Chain, HeadOutcome, Step, StepIndex, TrailersOutcome};
pub use configured::Configured;
pub use connection::{
    Connection, ConnectionAction, ConnectionCall, ConnectionChain, ConnectionClosed, ConnectionEvent,
    ConnectionEvents, ConnectionFilter, ConnectionFinished, ConnectionProgress, ConnectionRun,
    ConnectionStep, ConnectionWaiting,
};
pub use exchange::{Exchange, ExchangeState, Facts, RequestHead, ResponseHead};
pub use failure::{FailureReason, FilterError};
pub use filter::{Filter, Phases};
pub use handler::{
    BodyError, Handler, HandlerBody, HandlerError, HandlerFuture, HandlerRequest, HandlerResponse,
    HandlerRest, RequestBody,
};
pub use reason::Reason;
pub use run::{Direction, Run};

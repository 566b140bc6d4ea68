//! What a component exports: the world it was built for, and how its functions are called.

use wasmtime::component::InstancePre;
use wasmtime::{Result, Store};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use weir_filter::{
    Action, BodyPlan, ConnectionAction, ConnectionEvent, ConnectionEvents, Oversize, Phase, Phases,
};

use crate::bindings::{
    AccessLog, AccessLogPre, BackgroundTask, BackgroundTaskPre, L4, L4Pre, Policy, PolicyPre, types,
};
use crate::state::{Scope, State};

/// The worlds of `weir:policy`: what a component is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// A policy on HTTP exchanges; it may have background work too.
    Policy,
    /// Only the end of an exchange.
    AccessLog,
    /// A plain `wasi:http` handler, which is no filter.
    Handler,
    /// The bytes of a connection; it may have background work too.
    L4,
    /// Work on its own time, and nothing else.
    BackgroundTask,
}

impl World {
    /// The world that has this export. `background` stands beside another export, or alone.
    pub(crate) fn of_export(interface: &str) -> Option<Self> {
        match interface {
            "filter" => Some(Self::Policy),
            "logger" => Some(Self::AccessLog),
            "connection-filter" => Some(Self::L4),
            "background" => Some(Self::BackgroundTask),
            _ => None,
        }
    }

    /// The name in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::AccessLog => "access-log",
            Self::Handler => "wasi:http",
            Self::L4 => "l4",
            Self::BackgroundTask => "background-task",
        }
    }

    /// Whether its components may import an interface that needs no grant.
    pub(crate) fn has(self, interface: &str) -> bool {
        match interface {
            "connection" => self == Self::L4,
            "request" | "response" | "request-trailers" | "response-trailers" | "exchange" => {
                matches!(self, Self::Policy | Self::AccessLog)
            }
            _ => true,
        }
    }
}

/// A part of a component, which has instances of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// What runs on exchanges or connections.
    Filter,
    /// What works on its own time.
    Background,
}

/// A component ready to be instantiated, its exports found.
pub(crate) enum Template {
    Policy(PolicyPre<State>),
    AccessLog(AccessLogPre<State>),
    Handler(ProxyPre<State>),
    L4(L4Pre<State>),
    Background(BackgroundTaskPre<State>),
}

/// The exports of one instance.
pub(crate) enum Exports {
    Policy(Box<Policy>),
    AccessLog(Box<AccessLog>),
    L4(Box<L4>),
    Background(Box<BackgroundTask>),
}

/// What one configuration needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manifest {
    /// Of a component on exchanges.
    pub(crate) phases: Phases,
    /// Of a component on connections.
    pub(crate) events: ConnectionEvents,
    /// The instance stays with an exchange from its first phase to its last.
    pub(crate) keeps: bool,
}

impl Manifest {
    const NOTHING: Self = Self {
        phases: Phases::empty(),
        events: ConnectionEvents::empty(),
        keeps: false,
    };
}

impl Template {
    pub(crate) fn new(world: World, component: InstancePre<State>) -> Result<Self> {
        Ok(match world {
            World::Policy => Self::Policy(PolicyPre::new(component)?),
            World::AccessLog => Self::AccessLog(AccessLogPre::new(component)?),
            World::Handler => Self::Handler(ProxyPre::new(component)?),
            World::L4 => Self::L4(L4Pre::new(component)?),
            World::BackgroundTask => Self::Background(BackgroundTaskPre::new(component)?),
        })
    }

    pub(crate) async fn instantiate(&self, store: &mut Store<State>) -> Result<Exports> {
        Ok(match self {
            Self::Policy(pre) => Exports::Policy(Box::new(pre.instantiate_async(store).await?)),
            Self::AccessLog(pre) => Exports::AccessLog(Box::new(pre.instantiate_async(store).await?)),
            Self::Handler(_) => return Err(wasmtime::Error::msg("a handler has no phases")),
            Self::L4(pre) => Exports::L4(Box::new(pre.instantiate_async(store).await?)),
            Self::Background(pre) => Exports::Background(Box::new(pre.instantiate_async(store).await?)),
        })
    }

    /// The handler, when it is one.
    pub(crate) const fn handler(&self) -> Option<&ProxyPre<State>> {
        match self {
            Self::Handler(pre) => Some(pre),
            _ => None,
        }
    }
}

impl Exports {
    /// Gives the instance a configuration; the inner error is the plugin's refusal.
    pub(crate) async fn configure(
        &self,
        store: &mut Store<State>,
        slot: u32,
        config: &[u8],
    ) -> Result<std::result::Result<Manifest, String>> {
        match self {
            Self::Policy(it) => {
                let answer = it
                    .weir_policy_filter()
                    .call_configure(store, slot, config)
                    .await?;
                Ok(answer.map(|manifest| Manifest {
                    phases: phases(manifest.phases),
                    keeps: manifest.affinity == types::Affinity::Exchange,
                    ..Manifest::NOTHING
                }))
            }
            Self::AccessLog(it) => {
                let answer = it
                    .weir_policy_logger()
                    .call_configure(store, slot, config)
                    .await?;
                Ok(answer.map(|()| Manifest {
                    phases: Phases::LOG,
                    ..Manifest::NOTHING
                }))
            }
            Self::L4(it) => {
                let answer = it
                    .weir_policy_connection_filter()
                    .call_configure(store, slot, config)
                    .await?;
                Ok(answer.map(|wanted| Manifest {
                    events: events(wanted),
                    ..Manifest::NOTHING
                }))
            }
            Self::Background(it) => {
                let background = it.weir_policy_background();
                let answer = background.call_configure(store, slot, config).await?;
                Ok(answer.map(|()| Manifest::NOTHING))
            }
        }
    }

    /// Makes the instance forget a configuration.
    pub(crate) async fn forget(&self, store: &mut Store<State>, slot: u32) -> Result<()> {
        match self {
            Self::Policy(it) => it.weir_policy_filter().call_forget(store, slot).await,
            Self::AccessLog(it) => it.weir_policy_logger().call_forget(store, slot).await,
            Self::L4(it) => {
                let filter = it.weir_policy_connection_filter();
                filter.call_forget(store, slot).await
            }
            Self::Background(it) => it.weir_policy_background().call_forget(store, slot).await,
        }
    }

    /// Runs one phase. One that the world does not have does nothing.
    pub(crate) async fn phase(
        &self,
        store: &mut Store<State>,
        scope: Scope,
        phase: &Phase,
    ) -> Result<Action> {
        let slot = scope.slot;
        let policy = match (self, phase) {
            (Self::Policy(it), _) => it.weir_policy_filter(),
            (Self::AccessLog(it), Phase::Log) => {
                return it
                    .weir_policy_logger()
                    .call_on_log(store, slot)
                    .await
                    .map(|()| Action::Next);
            }
            _ => return Ok(Action::Next),
        };
        match phase {
            Phase::RequestHead => {
                let action = policy.call_on_request_head(store, slot).await?;
                Ok(head_action(action, scope.largest_body))
            }
            Phase::ResponseHead => {
                let action = policy.call_on_response_head(store, slot).await?;
                Ok(head_action(action, scope.largest_body))
            }
            Phase::RequestBody(chunk) => {
                let action = policy.call_on_request_body(store, slot, &chunk.bytes, chunk.end);
                action.await.map(body_action)
            }
            Phase::ResponseBody(chunk) => {
                let action = policy.call_on_response_body(store, slot, &chunk.bytes, chunk.end);
                action.await.map(body_action)
            }
            Phase::RequestTrailers => policy
                .call_on_request_trailers(store, slot)
                .await
                .map(body_action),
            Phase::ResponseTrailers => policy
                .call_on_response_trailers(store, slot)
                .await
                .map(body_action),
            Phase::Log => policy.call_on_log(store, slot).await.map(|()| Action::Next),
        }
    }

    /// Hands over one event of a connection. Other worlds than `l4` have none.
    pub(crate) async fn event(
        &self,
        store: &mut Store<State>,
        slot: u32,
        event: &ConnectionEvent,
    ) -> Result<ConnectionAction> {
        let Self::L4(it) = self else {
            return Ok(ConnectionAction::Next);
        };
        let filter = it.weir_policy_connection_filter();
        let action = match event {
            ConnectionEvent::Opened => filter.call_on_connection(store, slot).await?,
            ConnectionEvent::Downstream(chunk) => {
                let action = filter.call_on_downstream_data(store, slot, &chunk.bytes, chunk.end);
                action.await?
            }
            ConnectionEvent::Upstream(chunk) => {
                let action = filter.call_on_upstream_data(store, slot, &chunk.bytes, chunk.end);
                action.await?
            }
            ConnectionEvent::Closed => {
                filter.call_on_close(store, slot).await?;
                types::ConnectionAction::Next
            }
        };
        Ok(match action {
            types::ConnectionAction::Next => ConnectionAction::Next,
            types::ConnectionAction::Close => ConnectionAction::Close,
        })
    }

    /// Lets background work do its turn; answers in how many milliseconds it wants the next. Other parts want none.
    pub(crate) async fn timer(&self, store: &mut Store<State>, slot: u32) -> Result<Option<u64>> {
        match self {
            Self::Background(it) => it.weir_policy_background().call_on_timer(store, slot).await,
            _ => Ok(None),
        }
    }
}

fn events(wanted: types::ConnectionEvents) -> ConnectionEvents {
    use types::ConnectionEvents as Wit;
    let known = [
        (Wit::DOWNSTREAM_DATA, ConnectionEvents::DOWNSTREAM_DATA),
        (Wit::UPSTREAM_DATA, ConnectionEvents::UPSTREAM_DATA),
        (Wit::CLOSE, ConnectionEvents::CLOSE),
    ];
    let wanted = known.into_iter().filter(|(wit, _)| wanted.contains(*wit));
    wanted.map(|(_, event)| event).collect()
}

fn phases(wanted: types::Phases) -> Phases {
    use types::Phases as Wit;
    let known = [
        (Wit::REQUEST_HEAD, Phases::REQUEST_HEAD),
        (Wit::REQUEST_BODY, Phases::REQUEST_BODY),
        (Wit::REQUEST_TRAILERS, Phases::REQUEST_TRAILERS),
        (Wit::RESPONSE_HEAD, Phases::RESPONSE_HEAD),
        (Wit::RESPONSE_BODY, Phases::RESPONSE_BODY),
        (Wit::RESPONSE_TRAILERS, Phases::RESPONSE_TRAILERS),
        (Wit::LOG, Phases::LOG),
    ];
    let wanted = known.into_iter().filter(|(wit, _)| wanted.contains(*wit));
    wanted.map(|(_, phase)| phase).collect()
}

/// What a head phase answered, with the plan's limit lowered to the filter's own.
fn head_action(action: types::HeadAction, largest_body: u64) -> Action {
    match action {
        types::HeadAction::Next => Action::Next,
        types::HeadAction::Reply => Action::Reply,
        types::HeadAction::Chunks => Action::Body(BodyPlan::Chunks),
        types::HeadAction::Whole(whole) => Action::Body(BodyPlan::Whole {
            limit: if whole.limit == 0 {
                largest_body
            } else {
                whole.limit.min(largest_body)
            },
            oversize: match whole.oversize {
                types::Oversize::Reject => Oversize::Reject,
                types::Oversize::Skip => Oversize::Skip,
                types::Oversize::StreamInstead => Oversize::Stream,
            },
        }),
    }
}

/// What a body or trailers phase answered.
const fn body_action(action: types::BodyAction) -> Action {
    match action {
        types::BodyAction::Next => Action::Next,
        types::BodyAction::Reply => Action::Reply,
    }
}

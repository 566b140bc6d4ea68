//! What a call of a component is about: a phase of an exchange, an event of a connection, or a timer.

use wasmtime::{Result, Store};
use weir_filter::{Action, ConnectionAction, ConnectionEvent, Phase};

use crate::export::Exports;
use crate::state::{Scope, State};

/// Something that a guest is called for.
pub(crate) trait Work: 'static {
    /// What the guest answers.
    type Answer: 'static;

    /// The name in metrics.
    fn name(&self) -> &'static str;

    /// Calls the guest.
    fn run(
        &self,
        exports: &Exports,
        store: &mut Store<State>,
        scope: Scope,
    ) -> impl Future<Output = Result<Self::Answer>>;
}

/// The time of a background component has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer;

impl Work for Phase {
    type Answer = Action;

    fn name(&self) -> &'static str {
        self.as_str()
    }

    async fn run(&self, exports: &Exports, store: &mut Store<State>, scope: Scope) -> Result<Action> {
        exports.phase(store, scope, self).await
    }
}

impl Work for ConnectionEvent {
    type Answer = ConnectionAction;

    fn name(&self) -> &'static str {
        self.as_str()
    }

    async fn run(
        &self,
        exports: &Exports,
        store: &mut Store<State>,
        scope: Scope,
    ) -> Result<ConnectionAction> {
        exports.event(store, scope.slot, self).await
    }
}

impl Work for Timer {
    type Answer = Option<u64>;

    fn name(&self) -> &'static str {
        "timer"
    }

    async fn run(&self, exports: &Exports, store: &mut Store<State>, scope: Scope) -> Result<Option<u64>> {
        exports.timer(store, scope.slot).await
    }
}

//! A component of the world `l4` as a connection filter.

use std::task::{Context, Poll};

use weir_filter::{
    Connection, ConnectionAction, ConnectionCall, ConnectionEvents, ConnectionFilter, ConnectionFinished,
    ConnectionProgress, ConnectionWaiting, Kept,
};

use crate::component::{Calling, Component, Ended};

/// A component that runs on connections.
#[derive(Debug)]
pub(crate) struct ComponentConnectionFilter {
    component: Component,
    events: ConnectionEvents,
}

impl ComponentConnectionFilter {
    pub(crate) const fn new(component: Component, events: ConnectionEvents) -> Self {
        Self { component, events }
    }
}

impl ConnectionFilter for ComponentConnectionFilter {
    fn name(&self) -> &str {
        self.component.name()
    }

    fn events(&self) -> ConnectionEvents {
        self.events
    }

    fn makes_callouts(&self) -> bool {
        self.component.makes_callouts()
    }

    fn call(&self, call: ConnectionCall, cx: &mut Context<'_>) -> ConnectionProgress {
        let ConnectionCall {
            event,
            connection,
            kept,
        } = call;
        match self
            .component
            .call(event, connection.into(), kept.and_then(Kept::take), cx)
        {
            Ok(ended) => ConnectionProgress::Done(ended.into()),
            Err(calling) => ConnectionProgress::Waiting(Box::new(calling)),
        }
    }
}

impl ConnectionWaiting for Calling<ConnectionAction> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionFinished> {
        Self::poll(self, cx).map(ConnectionFinished::from)
    }

    fn abandon(mut self: Box<Self>) -> Connection {
        self.give_up().into()
    }
}

impl From<Ended<ConnectionAction>> for ConnectionFinished {
    fn from(ended: Ended<ConnectionAction>) -> Self {
        let Ended {
            exchange,
            kept,
            result,
        } = ended;
        Self {
            connection: exchange.into(),
            kept: kept.map(Kept::new),
            result,
        }
    }
}

//! What a configured use of a plugin can be.

use std::sync::Arc;

use crate::{ConnectionFilter, Filter, Handler};

/// What stands at a filter's index of a snapshot.
#[derive(Clone, Debug)]
pub enum Configured {
    /// It runs on exchanges.
    Filter(Arc<dyn Filter>),
    /// It answers in place of an upstream, behind a route.
    Handler(Arc<dyn Handler>),
    /// It runs on connections, so it stands in listeners' chains only.
    Connection(Arc<dyn ConnectionFilter>),
    /// It works on its own time alone, and is no step of any chain.
    Background,
}

impl From<Arc<dyn Filter>> for Configured {
    fn from(filter: Arc<dyn Filter>) -> Self {
        Self::Filter(filter)
    }
}

impl From<Arc<dyn Handler>> for Configured {
    fn from(handler: Arc<dyn Handler>) -> Self {
        Self::Handler(handler)
    }
}

impl From<Arc<dyn ConnectionFilter>> for Configured {
    fn from(filter: Arc<dyn ConnectionFilter>) -> Self {
        Self::Connection(filter)
    }
}

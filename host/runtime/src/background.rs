//! A component that works on its own time. When it is called, and what a failure does, is its owner's matter.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use weir_filter::{Callouts, Exchange, FilterError};
use weir_model::Isolation;

use crate::code::Code;
use crate::component::{Callee, Calling, Leased};
use crate::export::Part;
use crate::pool::Pool;
use crate::state::Use;
use crate::work::Timer;

/// The background work of one filter: an instance of its own, which shares store, metrics, log limit and backends with
/// the filter and its limits.
///
/// It may be made on one thread and used on another, on which it then stays: each call runs on the thread that polls it.
pub struct Background {
    callee: Arc<Callee>,
    kept: Option<Leased>,
}

impl Background {
    pub(crate) fn new(code: Arc<Code>, used: Arc<Use>) -> Self {
        let callee = Callee {
            keeps: used.isolation == Isolation::Warm,
            code,
            used,
            part: Part::Background,
            // Other filters' work has none of its state.
            own_pool: Some(Pool::default()),
        };
        Self {
            callee: Arc::new(callee),
            kept: None,
        }
    }

    /// The plugin's name.
    pub fn plugin(&self) -> &str {
        &self.callee.used.plugin
    }

    /// The name of the filter that it belongs to.
    pub fn filter(&self) -> &str {
        &self.callee.used.filter
    }

    /// Calls `on-timer`, at most for the wall time of a call; answers when it wants to be called again, if ever. The
    /// budget of callouts is that of one call. Needs a tokio runtime with a clock.
    ///
    /// # Errors
    /// When the call fails, or no instance can be made. The next call begins with a new one.
    ///
    /// # Cancellation
    /// Dropping it ends the guest where it stands, and its callouts; the next call begins with a new instance.
    pub async fn on_timer(
        &mut self,
        callouts: Option<Arc<dyn Callouts>>,
    ) -> Result<Option<Duration>, FilterError> {
        let mut exchange = Exchange::default();
        exchange.callouts = callouts;
        let callee = Arc::clone(&self.callee);
        let ended = match Calling::begin(callee, Timer, exchange, self.kept.take()) {
            Ok(mut calling) => poll_fn(|cx| calling.poll(cx)).await,
            Err(ended) => ended,
        };
        self.kept = ended.kept;
        let pause = ended.result?;
        Ok(pause.map(|millis| Duration::from_millis(millis.max(1))))
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background")
            .field("plugin", &self.callee.used.plugin)
            .field("filter", &self.callee.used.filter)
            .finish_non_exhaustive()
    }
}

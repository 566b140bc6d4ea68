//! A component that works on its own time. When it is called, and what a failure does, is its owner's matter.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_filter::{Callouts, Exchange, FilterError, Kept};
use weir_model::Isolation;

use crate::call::{ComponentCall, Unready};
use crate::component::{Ended, ended, error};
use crate::export::Part;
use crate::instance::Limits;
use crate::plugin::Code;
use crate::pool::{Lease, Pool};
use crate::state::Use;
use crate::work::{Timer, Work as _};

/// The background work of one filter: an instance of its own, which shares store, metrics, log limit and backends with
/// the filter and its limits.
///
/// It may be made on one thread and used on another; each call runs on the thread that polls it, and does not leave it.
pub struct Background {
    code: Arc<Code>,
    used: Arc<Use>,
    limits: Limits,
    /// Of one instance, so that other filters' work has none of its state.
    pool: Pool,
    kept: Option<Lease>,
}

impl Background {
    pub(crate) fn new(code: Arc<Code>, used: Arc<Use>) -> Self {
        Self {
            limits: Limits::of(&used, code.engine()),
            code,
            used,
            pool: Pool::default(),
            kept: None,
        }
    }

    /// The plugin's name.
    pub fn plugin(&self) -> &str {
        &self.used.plugin
    }

    /// The name of the filter that it belongs to.
    pub fn filter(&self) -> &str {
        &self.used.filter
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
        let since = Instant::now();
        // Kept here, or thrown away: nobody else takes it from the pool.
        let lease = match self.kept.take() {
            Some(lease) => lease,
            None => self
                .pool
                .lease(1, true, |_| false)
                .map_err(|fault| error(&self.used, fault))?,
        };
        let keeps = self.used.isolation == Isolation::Warm;
        let unready = Unready::of(&lease, &self.code, &self.used, Part::Background);
        let mut exchange = Exchange::default();
        exchange.callouts = callouts;
        let mut call = ComponentCall::new(lease, unready, self.limits, keeps, Timer, exchange);
        let driven = poll_fn(|cx| call.poll(cx)).await;
        self.used.telemetry.called(Timer.name(), since.elapsed());
        let Ended { kept, result, .. } = ended(driven, &self.used);
        self.kept = kept.and_then(Kept::take);
        Ok(result?.map(|millis| Duration::from_millis(millis.max(1))))
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background")
            .field("plugin", &self.used.plugin)
            .field("filter", &self.used.filter)
            .finish_non_exhaustive()
    }
}

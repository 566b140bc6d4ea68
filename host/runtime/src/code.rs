//! The compiled code of one artifact, and the instances made of it, shared by all plugins and filters of the same digest.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use weir_filter::FailureReason;

use crate::LoadError;
use crate::engine::TickingEngine;
use crate::export::{Manifest, Part, Template, World};
use crate::fault::Fault;
use crate::instance::Instance;
use crate::pool::Pool;
use crate::state::Use;

/// Code and instances of one artifact, shared by all plugins and filters of the same digest.
pub(crate) struct Code {
    pub(crate) digest: String,
    pub(crate) world: World,
    /// Interfaces of `weir:policy` that it imports.
    pub(crate) imports: Vec<String>,
    engine: Arc<TickingEngine>,
    template: Template,
    /// Of its background work; in the world of that alone both are the same.
    background: Option<Template>,
    pool: Pool,
    slots: AtomicU32,
    drops: AtomicU64,
}

impl Code {
    pub(crate) fn new(
        digest: String,
        world: World,
        imports: Vec<String>,
        engine: Arc<TickingEngine>,
        template: Template,
        background: Option<Template>,
    ) -> Self {
        Self {
            digest,
            world,
            imports,
            engine,
            template,
            background,
            pool: Pool::default(),
            slots: AtomicU32::new(0),
            drops: AtomicU64::new(0),
        }
    }

    /// True when background work comes with it.
    pub(crate) const fn has_background(&self) -> bool {
        self.background.is_some()
    }

    /// The number of the next configured use.
    pub(crate) fn next_slot(&self) -> u32 {
        self.slots.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) const fn template(&self) -> &Template {
        &self.template
    }

    pub(crate) fn engine(&self) -> &TickingEngine {
        &self.engine
    }

    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Starts an instance.
    pub(crate) async fn start(&self, part: Part, used: &Use) -> Result<Instance, Fault> {
        let template = match part {
            Part::Filter => &self.template,
            Part::Background => self.background.as_ref().unwrap_or(&self.template),
        };
        let start = async || Instance::start(&self.engine, template, used).await;
        self.engine.with_room(start).await
    }

    /// Drops the idle instances of this thread; answers how many there were.
    pub(crate) fn release_idle(&self) -> usize {
        self.pool.release_idle()
    }

    /// How many filters of this code are gone.
    pub(crate) fn drops(&self) -> u64 {
        self.drops.load(Ordering::Acquire)
    }

    /// Notes that a filter is gone: each instance forgets its slot before its next call.
    pub(crate) fn drop_use(&self, used: &Use) {
        used.dropped.store(true, Ordering::Release);
        self.drops.fetch_add(1, Ordering::Release);
    }

    /// Tries a configuration on an instance that no worker will use. Blocks.
    pub(crate) fn try_out(&self, part: Part, used: &Arc<Use>) -> Result<Manifest, LoadError> {
        self.canary(part, used)
            .map_err(|fault| LoadError::Start {
                filter: used.filter.clone(),
                reason: fault.reason,
                message: fault.message,
            })?
            .map_err(|message| LoadError::Refused {
                filter: used.filter.clone(),
                message,
            })
    }

    fn canary(&self, part: Part, used: &Arc<Use>) -> Result<Result<Manifest, String>, Fault> {
        block_on(async {
            let mut instance = self.start(part, used).await?;
            instance.configure(used).await
        })
    }
}

/// Runs a call here, where nobody serves traffic.
///
/// # Errors
/// Those of the call, and when the thread cannot wait.
pub(crate) fn block_on<T>(call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let failed = |error: std::io::Error| Fault {
        reason: FailureReason::Start,
        message: format!("this thread cannot wait for it: {error}"),
    };
    let here = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(failed)?;
    here.block_on(call)
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code")
            .field("digest", &self.digest)
            .field("imports", &self.imports)
            .finish_non_exhaustive()
    }
}

//! The generations of a filter: the live one, and a newer one that may run in its shadow.

use std::fmt;
use std::sync::Arc;

use weir_artifact::Digest;
use weir_filter::{Configured, FailureReason};
use weir_model::{ChainFilter, Plugin, Rollout};
use weir_runtime::{Configuration, LoadedPlugin, Runtime};

use super::{Begin, subject};
use crate::Failure;
use crate::broken::Broken;
use crate::shadow::{Shadow, ShadowFilter};

/// What a generation is made of: it lives as long as this stays the same.
pub(crate) type MadeOf = (ChainFilter, Plugin, Option<Digest>);

/// Why a filter cannot be made.
pub(super) type Why = (FailureReason, String);

/// What a filter was made of, and what came of it.
#[derive(Clone)]
pub(super) struct Generation {
    pub(super) made_of: MadeOf,
    made: Configured,
    /// What it runs, or why it only fails, when there never was a good one.
    plugin: Result<Arc<LoadedPlugin>, Why>,
    beside: Option<Beside>,
}

/// A newer generation that runs beside the live one.
#[derive(Clone)]
struct Beside {
    made_of: MadeOf,
    plugin: Arc<LoadedPlugin>,
    both: Arc<ShadowFilter>,
}

/// A plugin as it was loaded from certain bytes, and what it is there for.
#[derive(Clone, Copy)]
pub(crate) struct Version<'a> {
    /// The plugin's name.
    pub(crate) name: &'a str,
    pub(crate) loaded: &'a LoadedPlugin,
    pub(crate) standing: Standing,
}

/// What a version of a plugin is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// A filter runs it.
    Live,
    /// It runs in the shadow of a live one.
    Shadow,
    /// No filter runs any version of the plugin.
    Idle,
}

/// What a rule makes of a plugin.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Filter,
    /// It is a backend.
    Handler,
}

impl Generation {
    /// What stands where a filter or handler cannot be made.
    pub(super) fn broken(
        filter: &ChainFilter,
        plugin: &Plugin,
        role: Role,
        why: Why,
        runtime: &Runtime,
    ) -> Self {
        let telemetry = runtime.telemetry(&plugin.name).filter(&filter.name);
        let (reason, message) = why.clone();
        let broken = Arc::new(Broken::new(filter.name.clone(), reason, message, telemetry));
        Self {
            made_of: (filter.clone(), plugin.clone(), None),
            made: match role {
                Role::Filter => Configured::Filter(broken),
                Role::Handler => Configured::Handler(broken),
            },
            plugin: Err(why),
            beside: None,
        }
    }

    /// True when it does what it was made for.
    pub(super) fn is_good(&self) -> bool {
        self.plugin.is_ok()
    }

    /// True when the same filter could not be made before either, for the same reason.
    pub(super) fn is_broken_by(&self, filter: &ChainFilter, plugin: &Plugin, why: &Why) -> bool {
        let (made_of, made_from, _) = &self.made_of;
        self.plugin.as_ref().err() == Some(why) && made_of == filter && made_from == plugin
    }

    /// True when it is background work and nothing else.
    pub(super) fn is_work_alone(&self) -> bool {
        matches!(self.made, Configured::Background)
    }

    /// What stands in the chain.
    pub(super) fn running(&self) -> Configured {
        match &self.beside {
            Some(beside) => Configured::Filter(Arc::clone(&beside.both) as _),
            None => self.made.clone(),
        }
    }

    /// The plugins that it runs, live ones first.
    pub(super) fn versions(&self) -> impl Iterator<Item = Version<'_>> {
        let live = self.plugin.as_ref().ok().map(|loaded| Version {
            name: &self.made_of.1.name,
            loaded,
            standing: Standing::Live,
        });
        let shadow = self.beside.as_ref().map(|beside| Version {
            name: &beside.made_of.1.name,
            loaded: &beside.plugin,
            standing: Standing::Shadow,
        });
        live.into_iter().chain(shadow)
    }

    /// What it runs that was made from this, live or not.
    pub(super) fn loaded(&self, plugin: &Plugin, digest: Digest) -> Option<&Arc<LoadedPlugin>> {
        let is_it = |(_, from, of): &MadeOf| from == plugin && *of == Some(digest);
        let live = self.plugin.as_ref().ok().filter(|_| is_it(&self.made_of));
        let beside = self.beside.as_ref().filter(|it| is_it(&it.made_of));
        live.or_else(|| beside.map(|it| &it.plugin))
    }

    /// How the newer one compares, with the plugin's name.
    pub(super) fn shadow(&self) -> Option<(&str, &Shadow)> {
        let beside = self.beside.as_ref()?;
        Some((beside.made_of.1.name.as_str(), beside.both.report()))
    }
}

impl fmt::Display for Version<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let imports = self.loaded.imports().collect::<Vec<_>>().join(", ");
        let digest = self.loaded.digest();
        let limits = self.loaded.limits();
        write!(
            f,
            "{digest} {}; it imports {imports}; its limits: {limits}",
            self.standing
        )
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "runs",
            Self::Shadow => "runs in the shadow of the live one",
            Self::Idle => "is loaded",
        })
    }
}

/// The generation that a filter is to have: the one it has, a new one, or the one it has with a new one beside it.
pub(super) fn generation(
    wanted: MadeOf,
    role: Role,
    plugin: &Arc<LoadedPlugin>,
    before: Option<&Generation>,
    begin: &mut Begin,
) -> Result<Generation, Failure> {
    let failed = |error: weir_runtime::LoadError| Failure {
        subject: subject(&wanted.0, &wanted.1),
        reason: error.reason(),
        message: error.to_string(),
        is_pending: false,
    };
    if let Some(before) = before {
        if before.made_of == wanted {
            return Ok(Generation {
                beside: None,
                ..before.clone()
            });
        }
        if before.beside.as_ref().is_some_and(|it| it.made_of == wanted) {
            return Ok(before.clone());
        }
        // A handler makes the response itself: there is nothing to compare before it is there.
        if let (Rollout::Shadow, Configured::Filter(live)) = (wanted.1.rollout, &before.made) {
            let candidate = plugin.shadow(&wanted.0).map_err(failed)?;
            let both = ShadowFilter::new(Arc::clone(live), candidate, plugin.telemetry());
            return Ok(Generation {
                beside: Some(Beside {
                    made_of: wanted,
                    plugin: Arc::clone(plugin),
                    both: Arc::new(both),
                }),
                ..before.clone()
            });
        }
    }
    let made = match role {
        Role::Handler => Configured::Handler(plugin.handler(&wanted.0).map_err(failed)?),
        Role::Filter => {
            let Configuration { filter, background } = plugin.configure(&wanted.0).map_err(failed)?;
            begin.extend(background.map(|it| (wanted.clone(), it)));
            filter
        }
    };
    Ok(Generation {
        made,
        made_of: wanted,
        plugin: Ok(Arc::clone(plugin)),
        beside: None,
    })
}

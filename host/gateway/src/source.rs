//! Plugins that are fetched: each is followed for as long as a snapshot names it, and the last good bytes stay.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use weir_artifact::{
    Artifact, ArtifactRequest, Credentials, FetchError, Fetcher, Schedule, Source, State, follow,
};
use weir_filter::FailureReason;
use weir_model::{Plugin, PluginSource};

/// Follows the remote sources of all gateways of a process. Must be used within a tokio runtime.
#[derive(Debug)]
pub struct Sources {
    fetcher: Arc<Fetcher>,
    followed: HashMap<Wanted, Followed>,
    arrived: Arc<Notify>,
}

/// What a followed source depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    owner: String,
    source: PluginSource,
    digest: Option<String>,
    public_key: Option<String>,
}

#[derive(Debug)]
struct Followed {
    states: watch::Receiver<State>,
    tasks: [JoinHandle<()>; 2],
}

/// What is at hand of each remote source at one moment.
#[derive(Clone, Debug)]
pub struct Arrived {
    states: HashMap<Wanted, State>,
    pub(crate) fetcher: Arc<Fetcher>,
}

/// Why a plugin's bytes are not there.
#[derive(Debug, thiserror::Error)]
#[error("plugin {plugin}: {problem}")]
pub(crate) struct NotThere {
    plugin: String,
    problem: String,
    pub(crate) reason: FailureReason,
    /// They are still on their way.
    pub(crate) is_pending: bool,
}

impl Sources {
    /// Follows nothing yet.
    pub fn new(fetcher: Fetcher) -> Self {
        Self {
            fetcher: Arc::new(fetcher),
            followed: HashMap::new(),
            arrived: Arc::default(),
        }
    }

    /// Follows what these plugins name, and nothing else from now on.
    pub fn follow<'a>(&mut self, plugins: impl IntoIterator<Item = &'a Plugin>) {
        let mut before = std::mem::take(&mut self.followed);
        for plugin in plugins {
            let Some(wanted) = Wanted::of(plugin) else {
                continue;
            };
            if self.followed.contains_key(&wanted) {
                continue;
            }
            let followed = match before.remove(&wanted) {
                Some(known) => Some(known),
                None => self.start(plugin),
            };
            self.followed.extend(followed.map(|it| (wanted, it)));
        }
    }

    /// Waits until something new arrived, or became known to be missing.
    pub async fn changed(&self) {
        self.arrived.notified().await;
    }

    /// What is at hand now.
    pub fn arrived(&self) -> Arrived {
        let states = self.followed.iter();
        Arrived {
            states: states
                .map(|(wanted, it)| (wanted.clone(), it.states.borrow().clone()))
                .collect(),
            fetcher: Arc::clone(&self.fetcher),
        }
    }

    fn start(&self, plugin: &Plugin) -> Option<Followed> {
        // One that cannot be asked for is refused when it is prepared, with its reason.
        let request = request(plugin).ok()??;
        let interval = match &plugin.source {
            PluginSource::Oci(oci) => oci.poll,
            _ => None,
        };
        let schedule = Schedule {
            interval,
            ..Schedule::default()
        };
        let (sender, states) = watch::channel(State::new());
        let following = tokio::spawn(follow(Arc::clone(&self.fetcher), request, schedule, sender));
        let (mut changes, arrived) = (states.clone(), Arc::clone(&self.arrived));
        let telling = tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                arrived.notify_one();
            }
        });
        Some(Followed {
            states,
            tasks: [following, telling],
        })
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Arrived {
    /// Nothing arrives: for checks that must not use the network. Files are still proven with `fetcher`.
    pub fn nothing(fetcher: Fetcher) -> Self {
        Self {
            states: HashMap::new(),
            fetcher: Arc::new(fetcher),
        }
    }

    /// The bytes of a plugin that is fetched.
    pub(crate) fn remote(&self, plugin: &Plugin) -> Result<Artifact, NotThere> {
        let not_there = |reason, problem: String, is_pending| NotThere {
            plugin: plugin.name.clone(),
            problem,
            reason,
            is_pending,
        };
        if let Err(problem) = request(plugin) {
            return Err(not_there(FailureReason::Load, problem, false));
        }
        let state = Wanted::of(plugin).and_then(|wanted| self.states.get(&wanted));
        match state {
            Some(State::Ready { artifact } | State::Stale { artifact, .. }) => Ok(artifact.clone()),
            Some(State::Pending {
                error: Some(error), ..
            }) => Err(not_there(reason(error), error.with_outlook(), true)),
            Some(State::Pending { error: None, .. }) => Err(not_there(
                FailureReason::Missing,
                "it is being fetched".to_owned(),
                true,
            )),
            None => Err(not_there(
                FailureReason::Missing,
                "it is not fetched here".to_owned(),
                true,
            )),
        }
    }

    /// Why the newest bytes of a plugin cannot be had, although older ones serve.
    pub(crate) fn staleness(&self, plugin: &Plugin) -> Option<String> {
        match self.states.get(&Wanted::of(plugin)?)? {
            State::Stale { error, .. } => Some(error.with_outlook()),
            _ => None,
        }
    }
}

impl Wanted {
    fn of(plugin: &Plugin) -> Option<Self> {
        matches!(plugin.source, PluginSource::Http(_) | PluginSource::Oci(_)).then(|| Self {
            owner: owner(plugin).to_owned(),
            source: plugin.source.clone(),
            digest: plugin.digest.clone(),
            public_key: plugin.signature.as_ref().map(|it| it.public_key.clone()),
        })
    }
}

/// What is asked of the fetcher for a plugin; `None` for a built-in.
///
/// # Errors
/// When digest or key cannot be what they should be.
pub(crate) fn request(plugin: &Plugin) -> Result<Option<ArtifactRequest>, String> {
    let source = match &plugin.source {
        PluginSource::Builtin(_) => return Ok(None),
        PluginSource::File(path) => Source::File { path: path.clone() },
        PluginSource::Http(http) => Source::Http {
            url: http.url.clone(),
        },
        PluginSource::Oci(oci) => Source::Oci {
            reference: oci.reference.clone(),
            plain_http: oci.plain_http,
            credentials: oci.pull_secret.as_ref().map(|it| Credentials {
                user: it.username.clone(),
                password: it.password.clone(),
            }),
        },
    };
    let digest = plugin.digest.as_deref().map(str::parse).transpose();
    let public_key = plugin
        .signature
        .as_ref()
        .map(|it| it.public_key.parse())
        .transpose();
    Ok(Some(ArtifactRequest {
        owner: owner(plugin).to_owned(),
        source,
        digest: digest.map_err(|error| format!("digest: {error}"))?,
        public_key: public_key.map_err(|error| format!("verify.publicKey: {error}"))?,
    }))
}

/// Whether an artifact is not there, or is there and not what it should be.
pub(crate) const fn reason(error: &FetchError) -> FailureReason {
    match error {
        FetchError::TooLarge { .. }
        | FetchError::Malformed { .. }
        | FetchError::Digest { .. }
        | FetchError::Signature { .. } => FailureReason::Load,
        _ => FailureReason::Missing,
    }
}

/// The namespace: what was fetched for one is never served to another.
fn owner(plugin: &Plugin) -> &str {
    plugin.name.split('/').next().unwrap_or_default()
}

//! From a snapshot's plugins and filters to ready ones. Blocks: file reads and compilation belong on a
//! blocking thread, never on a worker.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use weir_filter::Filter;
use weir_model::{ChainFilter, Plugin, PluginIndex, PluginSource, Snapshot};
use weir_runtime::{LoadedPlugin, Runtime};

use crate::{Failure, Subject};

/// The largest plugin file read.
const MAX_PLUGIN_BYTES: u64 = 64 << 20;

/// The components embedded in the gateway, by name.
pub type Builtins = HashMap<&'static str, &'static [u8]>;

type ContentDigest = [u8; 32];

/// What is loaded, keyed by what it was loaded from: an unchanged part is used again, instances and all.
#[derive(Default)]
pub(crate) struct Prepared {
    plugins: HashMap<(Plugin, ContentDigest), Arc<LoadedPlugin>>,
    filters: HashMap<(ChainFilter, Plugin, ContentDigest), Arc<dyn Filter>>,
    /// The filters of the snapshot, in its order.
    pub(crate) in_order: Vec<Arc<dyn Filter>>,
    contents: Vec<ContentDigest>,
}

impl Prepared {
    /// What is loaded, by the plugin's name.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = (&str, &LoadedPlugin)> {
        self.plugins
            .iter()
            .map(|((plugin, _), loaded)| (plugin.name.as_str(), &**loaded))
    }

    /// True when the snapshot's plugins have the same bytes as before.
    pub(crate) fn same_contents(&self, other: &Self) -> bool {
        self.contents == other.contents
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("filters", &self.in_order)
            .finish_non_exhaustive()
    }
}

/// Loads and configures everything a snapshot names, and throws it away: what a gateway would refuse, before
/// one runs. Blocks.
///
/// # Errors
/// Everything that failed.
pub fn check(snapshot: &Snapshot, runtime: &Runtime, builtins: &Builtins) -> Result<(), Vec<Failure>> {
    prepare(snapshot, runtime, builtins, &Prepared::default()).map(drop)
}

/// Loads and configures everything a snapshot names.
///
/// # Errors
/// Everything that failed, so that one look shows it all.
pub(crate) fn prepare(
    snapshot: &Snapshot,
    runtime: &Runtime,
    builtins: &Builtins,
    previous: &Prepared,
) -> Result<Prepared, Vec<Failure>> {
    let mut prepared = Prepared::default();
    let mut failures = Vec::new();
    let mut loaded = Vec::with_capacity(snapshot.plugins.len());
    for plugin in &snapshot.plugins {
        match load(plugin, runtime, builtins, previous) {
            Ok((digest, ready)) => {
                prepared
                    .plugins
                    .insert((plugin.clone(), digest), Arc::clone(&ready));
                prepared.contents.push(digest);
                loaded.push(Some((digest, ready)));
            }
            Err(message) => {
                failures.push(Failure {
                    subject: Subject::Plugin(plugin.name.clone()),
                    message,
                });
                loaded.push(None);
            }
        }
    }
    for filter in &snapshot.filters {
        let PluginIndex(index) = filter.plugin;
        let (Some(plugin), Some(Some((digest, ready)))) = (snapshot.plugins.get(index), loaded.get(index))
        else {
            // The plugin's own failure says it.
            continue;
        };
        let key = (filter.clone(), plugin.clone(), *digest);
        let configured = match previous.filters.get(&key) {
            Some(known) => Ok(Arc::clone(known)),
            None => ready.filter(filter).map_err(|error| Failure {
                subject: Subject::Filter {
                    name: filter.name.clone(),
                    plugin: plugin.name.clone(),
                    origin: filter.origin.clone(),
                },
                message: error.to_string(),
            }),
        };
        match configured {
            Ok(configured) => {
                prepared.in_order.push(Arc::clone(&configured));
                prepared.filters.insert(key, configured);
            }
            Err(failure) => failures.push(failure),
        }
    }
    if failures.is_empty() {
        Ok(prepared)
    } else {
        Err(failures)
    }
}

fn load(
    plugin: &Plugin,
    runtime: &Runtime,
    builtins: &Builtins,
    previous: &Prepared,
) -> Result<(ContentDigest, Arc<LoadedPlugin>), String> {
    let bytes: Cow<'_, [u8]> = match &plugin.source {
        PluginSource::Builtin(name) => builtins
            .get(name.as_str())
            .map(|bytes| Cow::Borrowed(*bytes))
            .ok_or_else(|| {
                format!(
                    "plugin {}: no built-in {name:?}; there are {}",
                    plugin.name,
                    names(builtins)
                )
            })?,
        PluginSource::File(path) => read(path)
            .map(Cow::Owned)
            .map_err(|error| format!("plugin {}: cannot read {}: {error}", plugin.name, path.display()))?,
    };
    let digest: ContentDigest = Sha256::digest(&bytes).into();
    if let Some(known) = previous.plugins.get(&(plugin.clone(), digest)) {
        return Ok((digest, Arc::clone(known)));
    }
    let loaded = runtime.load(plugin, &bytes).map_err(|error| error.to_string())?;
    tracing::info!(plugin = plugin.name, digest = loaded.digest(), "plugin loaded");
    Ok((digest, loaded))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_PLUGIN_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_PLUGIN_BYTES {
        return Err(io::Error::other(format!(
            "larger than {} MiB",
            MAX_PLUGIN_BYTES >> 20
        )));
    }
    Ok(bytes)
}

fn names(builtins: &Builtins) -> String {
    let mut names: Vec<_> = builtins.keys().copied().collect();
    names.sort_unstable();
    names.join(", ")
}

//! From a plugin's source to a loaded plugin.

use std::sync::Arc;

use bytes::Bytes;
use weir_artifact::Digest;
use weir_filter::FailureReason;
use weir_model::{Plugin, PluginSource};
use weir_runtime::LoadedPlugin;

use super::{Builtins, Prepared, Supply};
use crate::source::{reason, request};
use crate::{Failure, Subject};

/// Reads a plugin's bytes, and loads them unless they are loaded already.
pub(super) fn load(
    plugin: &Plugin,
    supply: &Supply<'_>,
    previous: &Prepared,
) -> Result<(Digest, Arc<LoadedPlugin>), Failure> {
    let failed = |reason, message, is_pending| Failure {
        subject: Subject::Plugin(plugin.name.clone()),
        reason,
        message,
        is_pending,
    };
    let (bytes, digest) =
        bytes(plugin, supply).map_err(|(reason, message, is_pending)| failed(reason, message, is_pending))?;
    if let Some(known) = previous.loaded(plugin, digest) {
        return Ok((digest, Arc::clone(known)));
    }
    let loaded = supply
        .runtime
        .load(plugin, &bytes)
        .map_err(|error| failed(error.reason(), error.to_string(), false))?;
    tracing::info!(plugin = plugin.name, digest = loaded.digest(), "plugin loaded");
    Ok((digest, loaded))
}

/// The bytes of a plugin and their digest, or why they are not there and whether they may still come.
fn bytes(plugin: &Plugin, supply: &Supply<'_>) -> Result<(Bytes, Digest), (FailureReason, String, bool)> {
    match &plugin.source {
        PluginSource::Builtin(name) => match supply.builtins.get(name.as_str()) {
            Some(bytes) => Ok((Bytes::from_static(bytes), Digest::of(bytes))),
            None => Err((
                FailureReason::Missing,
                format!(
                    "plugin {}: no built-in {name:?}; there are {}",
                    plugin.name,
                    names(supply.builtins)
                ),
                false,
            )),
        },
        PluginSource::File(path) => {
            let problem =
                |reason, problem: String| (reason, format!("plugin {}: {problem}", plugin.name), false);
            let wrong = |it| problem(FailureReason::Load, it);
            let Some(request) = request(plugin).map_err(wrong)? else {
                return Err(wrong(format!("{} is no file", path.display())));
            };
            let read = tokio::runtime::Handle::current().block_on(supply.arrived.fetcher.fetch(&request));
            read.map(|it| (it.bytes, it.digest))
                .map_err(|error| problem(reason(&error), error.to_string()))
        }
        PluginSource::Http(_) | PluginSource::Oci(_) => match supply.arrived.remote(plugin) {
            Ok(artifact) => Ok((artifact.bytes, artifact.digest)),
            Err(error) => Err((error.reason, error.to_string(), error.is_pending)),
        },
    }
}

fn names(builtins: &Builtins) -> String {
    let mut names: Vec<_> = builtins.keys().copied().collect();
    names.sort_unstable();
    names.join(", ")
}

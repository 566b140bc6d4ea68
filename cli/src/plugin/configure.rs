//! Gives a plugin a configuration, to learn which phases it wants. It runs with every import it has and none of their
//! effects: no variable, no output, no backend, and a store that is thrown away.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use weir_gateway::NoSinks;
use weir_kv::Store;
use weir_model::{
    Capability, ChainFilter, FailureMode, Isolation, Limits, Plugin, PluginIndex, PluginSource, Recycle,
    Rollout, Stage,
};
use weir_runtime::{Compiled, EngineConfig, Inspection, Runtime, RuntimeConfig};
use weir_telemetry::Registry;

/// What running the artifact showed.
pub(super) struct Trial {
    pub(super) compiled: Result<Compiled, String>,
    /// The phases of the configuration; `None` for what is no plugin.
    pub(super) phases: Option<Result<Vec<String>, String>>,
}

/// Compiles an artifact and, when it is a plugin, configures it. Blocks.
///
/// # Errors
/// When no runtime starts here.
pub(super) fn run(name: &str, bytes: &[u8], inspection: &Inspection, config: &str) -> anyhow::Result<Trial> {
    let runtime = Runtime::new(RuntimeConfig {
        engine: EngineConfig::small(),
        cache_dir: None,
        sinks: Arc::new(NoSinks),
        environment: Arc::new(HashMap::new()),
        store: Arc::new(Store::new()),
        registry: Registry::new(),
    })?;
    let compiled = runtime.measure(bytes).map_err(|error| error.to_string());
    let is_plugin = matches!(inspection.kind, weir_runtime::ArtifactKind::Plugin(_));
    let phases = (is_plugin && compiled.is_ok()).then(|| phases(&runtime, name, bytes, inspection, config));
    Ok(Trial { compiled, phases })
}

fn phases(
    runtime: &Runtime,
    name: &str,
    bytes: &[u8],
    inspection: &Inspection,
    config: &str,
) -> Result<Vec<String>, String> {
    let capabilities: Vec<_> = inspection.grants.iter().filter_map(|it| harmless(it)).collect();
    let plugin = Plugin {
        name: name.to_owned(),
        source: PluginSource::File(PathBuf::from(name)),
        digest: None,
        signature: None,
        capabilities: capabilities.clone(),
        limits: Limits::DEFAULT,
        isolation: Isolation::Warm,
        rollout: Rollout::Replace,
        recycle: Recycle::DEFAULT,
        backends: Vec::new(),
    };
    let filter = ChainFilter {
        name: name.to_owned(),
        plugin: PluginIndex(0),
        config: config.as_bytes().to_vec(),
        stage: Stage::Accepted,
        failure_mode: FailureMode::Closed,
        capabilities,
        limits: Limits::DEFAULT,
        isolation: Isolation::Warm,
        backends: Vec::new(),
        origin: Vec::new(),
    };
    let filter = runtime.load(&plugin, bytes).and_then(|it| it.filter(&filter));
    let phases = filter.map_err(|error| error.to_string())?.phases();
    Ok(phases
        .iter_names()
        .map(|(name, _)| name.to_lowercase().replace('_', "-"))
        .collect())
}

/// The grant that lets it import the interface and reach nothing by it.
fn harmless(grant: &str) -> Option<Capability> {
    match grant.split_once(':') {
        Some(("environment", _)) => Some(Capability::Environment(None)),
        // Where this leads is decided by the sinks handed in, which take nothing.
        Some(("sink", _)) => Some(Capability::Sink("/dev/null".to_owned())),
        _ => grant.parse().ok(),
    }
}

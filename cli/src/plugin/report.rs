//! What `weir plugin inspect` prints, for people and for programs.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use weir_artifact::Artifact;
use weir_runtime::{ArtifactKind, Inspection};

use super::configure::Trial;

/// The whole answer. Its members are what `-o json` promises.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// What the file, reference or URL resolved to.
    source: String,
    kind: &'static str,
    /// The kind in words.
    description: String,
    digest: String,
    size: usize,
    /// Versions of `weir:policy`.
    contract: Vec<String>,
    imports: Vec<String>,
    exports: Vec<String>,
    /// What to write in `capabilities` of a Plugin.
    capabilities: Vec<&'static str>,
    /// For the configuration given; absent for what is no plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    phases: Option<Vec<String>>,
    /// Why there are no phases.
    #[serde(skip_serializing_if = "Option::is_none")]
    phases_error: Option<String>,
    /// JSON Schema of the configuration, if it carries one.
    schema: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_error: Option<String>,
    producers: Vec<Producer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compile_milliseconds: Option<u128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    native_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compile_error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Producer {
    field: String,
    name: String,
    version: String,
}

impl Report {
    pub(super) fn new(artifact: &Artifact, inspection: Inspection, trial: Trial) -> Self {
        let (schema, schema_error) = match inspection.schema.as_deref().map(schema) {
            None => (None, None),
            Some(Ok(schema)) => (Some(schema), None),
            Some(Err(error)) => (None, Some(error)),
        };
        let (phases, phases_error) = split(trial.phases);
        let (compiled, compile_error) = split(Some(trial.compiled));
        Self {
            source: artifact.resolved.clone(),
            kind: kind(&inspection.kind),
            description: inspection.kind.to_string(),
            digest: artifact.digest.to_string(),
            size: artifact.bytes.len(),
            contract: inspection.contract,
            imports: inspection.imports,
            exports: inspection.exports,
            capabilities: inspection.grants,
            phases,
            phases_error,
            schema,
            schema_error,
            producers: inspection.producers.into_iter().map(Producer::from).collect(),
            compile_milliseconds: compiled.map(|it| it.time.as_millis()),
            native_size: compiled.map(|it| it.size),
            compile_error,
        }
    }

    /// Why nothing can run this.
    pub(super) fn problem(&self) -> Option<&str> {
        self.compile_error.as_deref()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: &str| writeln!(f, "{name:<10} {}", plain(value));
        line("source", &self.source)?;
        line("kind", &self.description)?;
        line("digest", &self.digest)?;
        line("size", &format!("{} bytes", self.size))?;
        match (self.compile_milliseconds, self.native_size) {
            (Some(time), Some(size)) => {
                line("compiled", &format!("{size} bytes of native code in {time} ms"))?
            }
            _ => line("compiled", "no")?,
        }
        if !self.contract.is_empty() {
            line("contract", &format!("weir:policy {}", self.contract.join(", ")))?;
        }
        match (&self.phases, &self.phases_error) {
            (Some(phases), _) if phases.is_empty() => line("phases", "none")?,
            (Some(phases), _) => line("phases", &phases.join(", "))?,
            (None, Some(error)) => line("phases", &format!("not known: {error}"))?,
            (None, None) => {}
        }
        for producer in &self.producers {
            line(
                "made with",
                &format!("{} {} ({})", producer.name, producer.version, producer.field),
            )?;
        }
        list(f, "imports", &self.imports)?;
        list(f, "exports", &self.exports)?;
        grants(f, &self.capabilities)?;
        match (&self.schema, &self.schema_error) {
            (Some(schema), _) => write!(f, "\nschema of its configuration:\n{schema:#}\n"),
            (None, Some(error)) => write!(f, "\nschema of its configuration: {}\n", plain(error)),
            (None, None) => Ok(()),
        }
    }
}

impl From<weir_runtime::Producer> for Producer {
    fn from(it: weir_runtime::Producer) -> Self {
        Self {
            field: it.field,
            name: it.name,
            version: it.version,
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, names: &[String]) -> fmt::Result {
    if names.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}:")?;
    for name in names.iter().take(MOST_NAMES) {
        writeln!(f, "  {}", plain(name))?;
    }
    match names.len().checked_sub(MOST_NAMES) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(f, "  and {more} more; -o json has them"),
    }
}

/// What to copy into the spec of a Plugin.
fn grants(f: &mut fmt::Formatter<'_>, capabilities: &[&str]) -> fmt::Result {
    if capabilities.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nto grant, in the spec of its Plugin:\n  capabilities:")?;
    for capability in capabilities {
        let advice = match *capability {
            "environment:NAME" => "  # one line for each variable it may read",
            "sink:/PATH" => "  # one line for each output, such as sink:/dev/stdout",
            "upstream" => "  # and under `backends:` each backend it may call",
            _ => "",
        };
        writeln!(f, "    - {capability}{advice}")?;
    }
    Ok(())
}

fn kind(kind: &ArtifactKind) -> &'static str {
    match kind {
        ArtifactKind::Plugin(_) => "plugin",
        ArtifactKind::HttpHandler => "http-handler",
        ArtifactKind::Component => "component",
        ArtifactKind::ProxyWasm(_) => "proxy-wasm",
        ArtifactKind::Module => "module",
    }
}

fn schema(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(schema @ (Value::Object(_) | Value::Bool(_))) => Ok(schema),
        Ok(_) => Err("it is JSON, but a schema is an object".to_owned()),
        Err(error) => Err(format!("it is not JSON: {error}")),
    }
}

fn split<T, E>(result: Option<Result<T, E>>) -> (Option<T>, Option<E>) {
    match result {
        None => (None, None),
        Some(Ok(value)) => (Some(value), None),
        Some(Err(error)) => (None, Some(error)),
    }
}

/// Without what would move the cursor of a terminal: the text may be a stranger's.
fn plain(text: &str) -> String {
    let is_harmless = |it: &char| !it.is_control();
    text.chars()
        .map(|it| if is_harmless(&it) { it } else { ' ' })
        .collect()
}

/// In the text for people.
const MOST_NAMES: usize = 60;

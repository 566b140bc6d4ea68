//! What an artifact says of itself, read without running it: for people who decide whether to trust and what to grant.
//!
//! Whatever the bytes are, what is kept of them is bounded. Whether they are valid, only compiling says.

mod reader;

use std::fmt;
use std::time::{Duration, Instant};

use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use crate::artifact::LARGEST;
use crate::bindings::PACKAGE;
use crate::capability::{Offer, offer};
use reader::Outline;

/// The custom section in which a plugin carries the JSON Schema of its configuration.
pub const SCHEMA_SECTION: &str = "weir:schema";

/// What an artifact says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What can be done with it.
    pub kind: ArtifactKind,
    /// The versions of `weir:policy` that its imports and exports name.
    pub contract: Vec<String>,
    /// What it imports: interfaces of a component, `module.name` of a core module.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// What must be granted for its imports, as a capability is written.
    pub grants: Vec<&'static str>,
    /// The text of its section [`SCHEMA_SECTION`]. Nobody has checked that it is JSON.
    pub schema: Option<String>,
    /// Who made it: what each says it is (`language`, `sdk`, `processed-by`), its name and its version.
    pub producers: Vec<Producer>,
}

/// An entry of the section `producers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// `language`, `sdk` or `processed-by`.
    pub field: String,
    /// Its name.
    pub name: String,
    /// Its version; may be empty.
    pub version: String,
}

/// What can be done with an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactKind {
    /// A component that exports these interfaces of `weir:policy`, such as `filter`.
    Plugin(Vec<String>),
    /// A component that answers requests: it exports `wasi:http/incoming-handler`.
    HttpHandler,
    /// Another component.
    Component,
    /// A core module of the proxy-wasm ABI of this version.
    ProxyWasm(String),
    /// Another core module.
    Module,
}

/// What compiling cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// Wall time.
    pub time: Duration,
    /// Of the native code with its tables, in bytes.
    pub size: usize,
}

/// Why an artifact cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// More bytes than any plugin may have.
    #[error("it has {0} bytes; a plugin has at most {LARGEST}")]
    TooLarge(usize),
    /// Not WebAssembly at all.
    #[error("it is not WebAssembly (it does not begin with \\0asm)")]
    NotWasm,
    /// WebAssembly that breaks off or contradicts itself.
    #[error("it is damaged: {0}")]
    Damaged(#[from] wasmparser::Error),
    /// More of something than is read.
    #[error("it has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most that is read.
        limit: usize,
    },
    /// A schema that cannot be read.
    #[error("its section {SCHEMA_SECTION} {0}; write one section with the JSON Schema of the configuration")]
    Schema(&'static str),
    /// It is not valid, or not for this engine.
    #[error("it does not compile: {0:#}")]
    Compile(wasmtime::Error),
}

/// Reads what an artifact says of itself. Does not validate, compile or run it.
///
/// # Errors
/// When the bytes are no Wasm, or hold more than is read.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, InspectError> {
    if bytes.len() > LARGEST {
        return Err(InspectError::TooLarge(bytes.len()));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(InspectError::NotWasm);
    }
    let outline = Outline::read(bytes)?;
    let mut grants: Vec<_> = own(&outline.imports)
        .filter_map(|(interface, _)| match offer(interface) {
            Some(Offer::Granted(grant)) => Some(grant),
            _ => None,
        })
        .collect();
    grants.sort_unstable();
    grants.dedup();
    let mut contract: Vec<_> = own(&outline.imports)
        .chain(own(&outline.exports))
        .map(|(_, version)| version.to_owned())
        .collect();
    contract.sort_unstable();
    contract.dedup();
    Ok(Inspection {
        kind: kind(&outline),
        contract,
        grants,
        imports: outline.imports,
        exports: outline.exports,
        schema: outline.schema,
        producers: outline.producers,
    })
}

/// Compiles for real, whatever a cache may have.
pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Compiled, InspectError> {
    let since = Instant::now();
    let code = if is_module(bytes) {
        Module::from_binary(engine, bytes).and_then(|it| it.serialize())
    } else {
        Component::from_binary(engine, bytes).and_then(|it| it.serialize())
    };
    let size = code.map_err(InspectError::Compile)?.len();
    Ok(Compiled {
        time: since.elapsed(),
        size,
    })
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plugin(interfaces) => write!(f, "component of {PACKAGE} ({})", interfaces.join(", ")),
            Self::HttpHandler => f.write_str("wasi:http handler"),
            Self::Component => f.write_str("component that exports nothing Weir runs"),
            Self::ProxyWasm(version) => write!(f, "core module, proxy-wasm ABI {version}"),
            Self::Module => f.write_str("core module of no ABI Weir knows"),
        }
    }
}

/// The second half of the version field is the layer: 0 for modules, 1 for components.
fn is_module(bytes: &[u8]) -> bool {
    bytes.get(6..8) == Some(&[0, 0])
}

fn kind(outline: &Outline) -> ArtifactKind {
    if outline.is_module {
        let version = outline
            .exports
            .iter()
            .find_map(|it| it.strip_prefix("proxy_abi_version_"));
        return version.map_or(ArtifactKind::Module, |it| {
            ArtifactKind::ProxyWasm(it.replace('_', "."))
        });
    }
    let interfaces: Vec<_> = own(&outline.exports)
        .map(|(interface, _)| interface.to_owned())
        .collect();
    if !interfaces.is_empty() {
        ArtifactKind::Plugin(interfaces)
    } else if (outline.exports.iter()).any(|it| it.starts_with("wasi:http/incoming-handler@")) {
        ArtifactKind::HttpHandler
    } else {
        ArtifactKind::Component
    }
}

/// The interfaces of our package among these names, with their versions.
fn own(names: &[String]) -> impl Iterator<Item = (&str, &str)> {
    let own = names
        .iter()
        .filter_map(|it| it.strip_prefix(PACKAGE)?.strip_prefix('/'));
    own.filter_map(|it| it.split_once('@'))
}

#[cfg(test)]
mod tests;

//! Why the runtime cannot start, and why a plugin or a filter of it is refused.

use std::io;
use std::path::PathBuf;

use weir_filter::FailureReason;

/// Why the runtime cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The engine refuses its settings, or the address space for its pools is not to be had.
    #[error("the Wasm engine does not start with these settings: {0:#}")]
    Engine(wasmtime::Error),
    /// The ticker thread, which ends calls that run too long, does not start.
    #[error("the thread that ends calls which run too long does not start: {0}")]
    Ticker(#[source] io::Error),
    /// The registry of metrics has our names already.
    #[error("metrics: {0}")]
    Metrics(#[from] weir_telemetry::Conflict),
    /// The cache directory cannot be used.
    #[error("plugin cache {}: {source}", path.display())]
    Cache {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The cache directory is not ours alone, so native code in it cannot be trusted.
    #[error(
        "plugin cache {} {problem}; native code is loaded from it, so give a directory that only the \
         gateway's user owns and can write (chmod 700)",
        path.display()
    )]
    UnsafeCache {
        /// The directory.
        path: PathBuf,
        /// Whose it is, or who may write it.
        problem: String,
    },
}

/// Why a plugin, or a filter of it, is refused. Every message names the object and, where there is one, the fix.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No bytes at all.
    #[error("plugin {plugin}: the artifact is empty")]
    Empty {
        /// The plugin's name.
        plugin: String,
    },
    /// More bytes than any plugin may have.
    #[error("plugin {plugin}: the artifact has {size} bytes; at most {limit} are accepted")]
    TooLarge {
        /// The plugin's name.
        plugin: String,
        /// Its size.
        size: usize,
        /// The largest accepted.
        limit: usize,
    },
    /// The bytes are not WebAssembly.
    #[error("plugin {plugin}: the artifact is not WebAssembly (it does not begin with \\0asm)")]
    NotWasm {
        /// The plugin's name.
        plugin: String,
    },
    /// A core module where a component is needed.
    #[error(
        "plugin {plugin}: the artifact is a core Wasm module, not a component; build it with \
         `cargo xtask plugin DIR`, or componentize it with `wasm-tools component new module.wasm -o plugin.wasm`"
    )]
    NotAComponent {
        /// The plugin's name.
        plugin: String,
    },
    /// The bytes differ from the pinned digest.
    #[error(
        "plugin {plugin}: the artifact is {found} but {expected} is pinned; correct `digest` or the artifact"
    )]
    Digest {
        /// The plugin's name.
        plugin: String,
        /// The pinned digest.
        expected: String,
        /// The artifact's own.
        found: String,
    },
    /// The component does not validate or compile.
    #[error("plugin {plugin}: the component does not compile: {source:#}")]
    Invalid {
        /// The plugin's name.
        plugin: String,
        /// What the compiler says.
        source: wasmtime::Error,
    },
    /// Built against another version of the contract.
    #[error(
        "plugin {plugin}: it is built against weir:policy@{found}, this gateway offers {offered}; rebuild it with \
         the SDK of that version"
    )]
    WitVersion {
        /// The plugin's name.
        plugin: String,
        /// The version it names.
        found: String,
        /// The version offered.
        offered: &'static str,
    },
    /// A capability that the plugin or the filter was not granted.
    #[error(
        "{object}: the component imports {interface:?}, which is not granted; add {grant:?} to its capabilities"
    )]
    NotGranted {
        /// The plugin or filter, such as `plugin team/geo`.
        object: String,
        /// The interface of `weir:policy`.
        interface: String,
        /// What to write in the capabilities.
        grant: &'static str,
    },
    /// An import from outside the contract.
    #[error(
        "plugin {plugin}: it imports {import:?}, which is not part of weir:policy; build it for \
         wasm32-unknown-unknown with the SDK, or stub WASI out with an adapter"
    )]
    ForeignImport {
        /// The plugin's name.
        plugin: String,
        /// The import.
        import: String,
    },
    /// The component does not export what a policy exports.
    #[error("plugin {plugin}: it does not export {export}; build it for the world `weir:policy/policy`")]
    NoFilter {
        /// The plugin's name.
        plugin: String,
        /// The missing export.
        export: String,
    },
    /// It imports what belongs to another world.
    #[error(
        "plugin {plugin}: it imports {interface:?}, which a component of the world `weir:policy/{world}` does not \
         have; build it for the world of its exports"
    )]
    WrongWorld {
        /// The plugin's name.
        plugin: String,
        /// The interface of `weir:policy`.
        interface: String,
        /// The world of its exports.
        world: &'static str,
    },
    /// It exports what two worlds export.
    #[error(
        "plugin {plugin}: it exports what the worlds `{one}` and `{two}` export; build a component for each of them"
    )]
    TwoWorlds {
        /// The plugin's name.
        plugin: String,
        /// A world.
        one: &'static str,
        /// Another one.
        two: &'static str,
    },
    /// A filter on exchanges is wanted, and the plugin has none.
    #[error(
        "filter {filter}: its plugin {plugin} is of the world `weir:policy/{world}` and does not run on exchanges"
    )]
    NoExchanges {
        /// The filter's name.
        filter: String,
        /// The plugin's name.
        plugin: String,
        /// Its world.
        world: &'static str,
    },
    /// Imports or exports have other types than the contract says.
    #[error("plugin {plugin}: its types differ from those of weir:policy: {source:#}")]
    Types {
        /// The plugin's name.
        plugin: String,
        /// The first difference.
        source: wasmtime::Error,
    },
    /// The memory limit exceeds what the engine's pool can hold.
    #[error(
        "filter {filter}: limits.memory is {limit} bytes, and this gateway has at most {largest} for an instance; lower it, or run without --wasm-pool small"
    )]
    MemoryLimit {
        /// The filter's name.
        filter: String,
        /// What it asks.
        limit: u64,
        /// What there is.
        largest: u64,
    },
    /// No instance could be made, or `configure` failed.
    #[error("filter {filter}: the plugin does not start: {reason}: {message}")]
    Start {
        /// The filter's name.
        filter: String,
        /// The kind of failure.
        reason: FailureReason,
        /// More about it.
        message: String,
    },
    /// The plugin refuses the configuration.
    #[error("filter {filter}: the plugin refuses the configuration: {message}")]
    Refused {
        /// The filter's name.
        filter: String,
        /// The plugin's own words.
        message: String,
    },
    /// A `wasi:http` handler in a chain.
    #[error(
        "filter {filter}: plugin {plugin} is a wasi:http handler, which answers requests and has no place in a chain; \
         name it in a rule's backendRefs (group weir.dev, kind Plugin)"
    )]
    Handler {
        /// The filter's name.
        filter: String,
        /// The plugin's name.
        plugin: String,
    },
    /// A filter where something has to answer.
    #[error(
        "filter {filter}: plugin {plugin} is a filter and cannot answer in place of a backend; attach it with a \
         PluginPolicy, or name a plugin that exports wasi:http/incoming-handler"
    )]
    NotAHandler {
        /// The filter's name.
        filter: String,
        /// The plugin's name.
        plugin: String,
    },
    /// A handler imports what handlers are not offered.
    #[error(
        "plugin {plugin}: a wasi:http handler cannot import {import:?}; it may import the interfaces of \
         wasi:http/proxy and wasi:cli/imports in version 0.2, and the capabilities of weir:policy"
    )]
    HandlerImport {
        /// The plugin's name.
        plugin: String,
        /// The import.
        import: String,
    },
    /// A granted output cannot be opened.
    #[error("filter {filter}: sink {path}: {source}")]
    Sink {
        /// The filter's name.
        filter: String,
        /// The output.
        path: String,
        /// Why not.
        source: io::Error,
    },
}

impl LoadError {
    /// What exchanges are told that meet a filter which could not be made.
    pub const fn reason(&self) -> FailureReason {
        match self {
            Self::NotGranted { .. } => FailureReason::Denied,
            Self::Start { reason, .. } => *reason,
            Self::Refused { .. } => FailureReason::Start,
            _ => FailureReason::Load,
        }
    }
}

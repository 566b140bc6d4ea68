//! From a plugin's bytes to a compiled component whose imports are known and granted.
//!
//! Runs off the request path: a large component takes seconds to compile.

pub(crate) mod cache;

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;
use weir_model::{Capability, PluginSource};

use crate::LoadError;
use crate::bindings::{PACKAGE, VERSION};
use crate::capability::{Offer, offer};
use crate::export::World;
use crate::handler;
use cache::Cache;

/// The largest artifact accepted.
pub(crate) const LARGEST: usize = 64 << 20;

/// `sha256:` and the hash of the bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(7 + 64);
    text.push_str("sha256:");
    for byte in Sha256::digest(bytes) {
        // Writing to a string does not fail.
        let _written = write!(text, "{byte:02x}");
    }
    text
}

/// Refuses bytes that cannot be a component, or not the pinned one; returns their digest.
pub(crate) fn check(plugin: &weir_model::Plugin, bytes: &[u8]) -> Result<String, LoadError> {
    let name = || plugin.name.clone();
    if bytes.is_empty() {
        return Err(LoadError::Empty { plugin: name() });
    }
    if bytes.len() > LARGEST {
        return Err(LoadError::TooLarge {
            plugin: name(),
            size: bytes.len(),
            limit: LARGEST,
        });
    }
    let found = digest(bytes);
    // In a registry a pin may name the manifest: whoever fetched it has proven it.
    let pinned = plugin
        .digest
        .as_ref()
        .filter(|_| !matches!(plugin.source, PluginSource::Oci(_)));
    if let Some(expected) = pinned.filter(|expected| !expected.eq_ignore_ascii_case(&found)) {
        return Err(LoadError::Digest {
            plugin: name(),
            expected: expected.clone(),
            found,
        });
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(LoadError::NotWasm { plugin: name() });
    }
    // The second half of the version field is the layer: 0 for modules, 1 for components.
    if bytes.get(6..8) == Some(&[0, 0]) {
        return Err(LoadError::NotAComponent { plugin: name() });
    }
    Ok(found)
}

/// Compiles the bytes, or takes what was compiled from them before.
pub(crate) fn compile(
    engine: &Engine,
    cache: Option<&Cache>,
    plugin: &str,
    digest: &str,
    bytes: &[u8],
) -> Result<Component, LoadError> {
    if let Some(component) = cache.and_then(|cache| cache.get(engine, digest)) {
        return Ok(component);
    }
    let component = Component::from_binary(engine, bytes).map_err(|source| LoadError::Invalid {
        plugin: plugin.to_owned(),
        source,
    })?;
    if let Some(cache) = cache {
        // A full disk costs start-up time, not the plugin.
        if let Err(error) = component
            .serialize()
            .map_err(std::io::Error::other)
            .and_then(|it| cache.put(digest, &it))
        {
            tracing::warn!(plugin, digest, %error, "the compiled plugin is not kept in the cache");
        }
    }
    Ok(component)
}

/// What a component is, by its own imports and exports.
pub(crate) struct Interfaces {
    pub(crate) world: World,
    /// It has work on its own time, alone or beside its world.
    pub(crate) has_background: bool,
    /// The interfaces of `weir:policy` that it imports.
    pub(crate) imports: Vec<String>,
}

/// Reads what a component imports and exports of `weir:policy`.
///
/// # Errors
/// The first import that no grant can satisfy or that its world does not have; a missing export, or one too many.
pub(crate) fn interfaces(
    engine: &Engine,
    component: &Component,
    plugin: &str,
) -> Result<Interfaces, LoadError> {
    let ty = component.component_type();
    let mut worlds = Vec::new();
    for (export, _) in ty.exports(engine) {
        if export.starts_with(handler::EXPORT) {
            worlds.push(World::Handler);
        }
        worlds.extend(own(export, plugin)?.and_then(World::of_export));
    }
    let world = main_world(&worlds, plugin)?;
    let mut interfaces = Vec::new();
    for (import, _) in ty.imports(engine) {
        if world == World::Handler {
            interfaces.push(handler::import(import, own(import, plugin)?, plugin)?);
            continue;
        }
        let foreign = || LoadError::ForeignImport {
            plugin: plugin.to_owned(),
            import: import.to_owned(),
        };
        let interface = own(import, plugin)?.ok_or_else(foreign)?;
        offer(interface).ok_or_else(foreign)?;
        interfaces.push(interface.to_owned());
    }
    let interfaces = Interfaces {
        world,
        has_background: worlds.contains(&World::BackgroundTask),
        imports: interfaces,
    };
    match interfaces.imports.iter().find(|it| !interfaces.world.has(it)) {
        None => Ok(interfaces),
        Some(foreign) => Err(LoadError::WrongWorld {
            plugin: plugin.to_owned(),
            interface: foreign.clone(),
            world: interfaces.world.as_str(),
        }),
    }
}

/// The one world beside background work, or background work alone.
fn main_world(worlds: &[World], plugin: &str) -> Result<World, LoadError> {
    let mut others = worlds.iter().filter(|it| **it != World::BackgroundTask);
    match (others.next(), others.next()) {
        (Some(world), None) => Ok(*world),
        (Some(one), Some(two)) => Err(LoadError::TwoWorlds {
            plugin: plugin.to_owned(),
            one: one.as_str(),
            two: two.as_str(),
        }),
        (None, _) if worlds.is_empty() => Err(LoadError::NoFilter {
            plugin: plugin.to_owned(),
            export: format!("{PACKAGE}/filter@{VERSION}"),
        }),
        (None, _) => Ok(World::BackgroundTask),
    }
}

/// Checks that every interface needs no grant or has one.
pub(crate) fn granted(interfaces: &[String], grants: &[Capability], object: &str) -> Result<(), LoadError> {
    for interface in interfaces {
        if let Some(Offer::Granted(grant)) = offer(interface)
            && !grants.iter().any(|it| it.grants(interface))
        {
            return Err(LoadError::NotGranted {
                object: object.to_owned(),
                interface: interface.clone(),
                grant,
            });
        }
    }
    Ok(())
}

/// The interface in a name of our package; an error when its version is not the one offered.
fn own<'a>(name: &'a str, plugin: &str) -> Result<Option<&'a str>, LoadError> {
    let Some(rest) = name.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/')) else {
        return Ok(None);
    };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, "(none)"));
    if version == VERSION {
        return Ok(Some(interface));
    }
    Err(LoadError::WitVersion {
        plugin: plugin.to_owned(),
        found: version.to_owned(),
        offered: VERSION,
    })
}

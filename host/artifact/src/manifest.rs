//! What a manifest says about where the Wasm is. Pure: parses and decides, fetches nothing.

use serde::Deserialize;

use crate::Digest;
use crate::layer::Compression;

/// The manifests that are asked for. One field, because some registries look at the first alone.
pub(crate) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What `weir plugin push` and the Wasm tools write.
pub(crate) const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
pub(crate) const WASM_LAYER: &str = "application/wasm";

/// Layers that are the Wasm itself.
const RAW_LAYERS: [&str; 2] = [WASM_LAYER, "application/vnd.wasm.content.layer.v1+wasm"];

/// Layers that are archives, and how they are compressed.
const ARCHIVE_LAYERS: [(&str, Compression); 4] = [
    ("application/vnd.oci.image.layer.v1.tar+gzip", Compression::Gzip),
    (
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        Compression::Gzip,
    ),
    ("application/vnd.oci.image.layer.v1.tar", Compression::None),
    ("application/vnd.docker.image.rootfs.diff.tar", Compression::None),
];

/// A manifest that Weir cannot use. The text names the fix where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(String);

/// A manifest or an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// One artifact or image.
    Image(Image),
    /// One of several, by platform.
    Index(Index),
}

/// A manifest with layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    layers: Vec<Descriptor>,
}

/// A list of manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    manifests: Vec<Descriptor>,
}

/// A blob or manifest that another manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Of its bytes.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// What a signature tag notes beside a payload.
    pub(crate) signature: Option<String>,
    /// What an artifact's manifest is about.
    pub(crate) artifact_type: Option<String>,
    platform: Option<Platform>,
    is_attestation: bool,
}

/// Where the Wasm is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The blob is the Wasm: its digest is the Wasm's.
    Raw(Descriptor),
    /// The Wasm is a file in an archive.
    Archive(Descriptor, Compression),
}

impl Manifest {
    /// Parses a manifest. `content_type` says what it is when it does not itself.
    ///
    /// # Errors
    /// When it is no JSON of the form, or of a version or digest that Weir does not know.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        let written: Written = serde_json::from_slice(bytes)
            .map_err(|error| ManifestError(format!("the manifest is not valid: {error}")))?;
        if written.schema_version != 2 {
            return Err(ManifestError(format!(
                "the manifest has schema version {}; push the image with a tool of this decade (version 2)",
                written.schema_version
            )));
        }
        let media_type = written
            .media_type
            .as_deref()
            .or_else(|| content_type.map(|text| text.split(';').next().unwrap_or(text).trim()));
        match (media_type, written.manifests, written.layers) {
            // Both at once would let two readers see two artifacts.
            (_, Some(_), Some(_)) => Err(ManifestError(
                "the manifest is both an image and an index of images".into(),
            )),
            (Some(OCI_INDEX | DOCKER_LIST) | None, Some(manifests), None) => Ok(Self::Index(Index {
                manifests: descriptors(manifests)?,
            })),
            (Some(OCI_MANIFEST | DOCKER_MANIFEST) | None, None, Some(layers)) => Ok(Self::Image(Image {
                layers: descriptors(layers)?,
            })),
            (media_type, ..) => Err(ManifestError(format!(
                "the manifest is of the type `{}`, or lacks what that type has; \
                 Weir reads OCI and Docker v2 manifests and indexes",
                shown(media_type.unwrap_or("unknown"))
            ))),
        }
    }
}

impl Index {
    /// The manifest to use: the one for Wasm, or the only one.
    ///
    /// # Errors
    /// When none or several could be meant.
    pub fn choose(&self) -> Result<&Descriptor, ManifestError> {
        let candidates = || self.manifests.iter().filter(|entry| !entry.is_attestation);
        let wasm: Vec<_> = candidates().filter(|entry| entry.is_for_wasm()).collect();
        let all: Vec<_> = candidates().collect();
        match (wasm.as_slice(), all.as_slice()) {
            ([one], _) | ([], [one]) => Ok(one),
            ([], []) => Err(ManifestError("the index names no manifest".into())),
            ([], _) => Err(ManifestError(format!(
                "the index has no manifest for Wasm, only {}; name one by digest",
                platforms(&all)
            ))),
            (several, _) => Err(ManifestError(format!(
                "the index has several manifests for Wasm ({}); name one by digest",
                platforms(several)
            ))),
        }
    }

    pub(crate) fn manifests(&self) -> &[Descriptor] {
        &self.manifests
    }
}

impl Image {
    /// Finds the Wasm: the one Wasm layer, or else a file in the last layer.
    ///
    /// # Errors
    /// When there is none, or a layer of a kind that Weir does not read.
    pub fn layout(&self) -> Result<Layout, ManifestError> {
        let is_raw = |layer: &&Descriptor| RAW_LAYERS.contains(&layer.media_type.as_str());
        let raw: Vec<_> = self.layers.iter().filter(is_raw).collect();
        match raw.as_slice() {
            [one] => return Ok(Layout::Raw((*one).clone())),
            [] => {}
            several => {
                return Err(ManifestError(format!(
                    "the artifact has {} Wasm layers; a plugin is one",
                    several.len()
                )));
            }
        }
        let Some(last) = self.layers.last() else {
            return Err(ManifestError("the artifact has no layers".into()));
        };
        if let Some((_, compression)) = ARCHIVE_LAYERS
            .into_iter()
            .find(|(media_type, _)| *media_type == last.media_type)
        {
            return Ok(Layout::Archive(last.clone(), compression));
        }
        let fix = if last.media_type.ends_with("+zstd") {
            "zstd is not read; build the image with gzip, or push the Wasm with `weir plugin push`"
        } else {
            "a plugin is a layer of type application/wasm, or plugin.wasm in an image; push it with `weir plugin push`"
        };
        Err(ManifestError(format!(
            "the last layer is of type `{}`: {fix}",
            shown(&last.media_type)
        )))
    }

    pub(crate) fn layers(&self) -> &[Descriptor] {
        &self.layers
    }
}

impl Descriptor {
    fn is_for_wasm(&self) -> bool {
        self.platform.as_ref().is_some_and(|platform| {
            platform.architecture.starts_with("wasm") || platform.os.starts_with("wasi")
        })
    }
}

fn platforms(entries: &[&Descriptor]) -> String {
    /// Enough to see what is there; an index may have thousands.
    const SHOWN: usize = 8;
    let mut names: Vec<_> = entries
        .iter()
        .take(SHOWN)
        .map(|entry| match &entry.platform {
            Some(platform) => format!("{}/{}", shown(&platform.os), shown(&platform.architecture)),
            None => "one without a platform".into(),
        })
        .collect();
    if entries.len() > SHOWN {
        names.push(format!("{} more", entries.len() - SHOWN));
    }
    names.join(", ")
}

/// A foreign text, short and printable.
fn shown(text: &str) -> String {
    text.chars()
        .take(80)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

fn descriptors(written: Vec<WrittenDescriptor>) -> Result<Vec<Descriptor>, ManifestError> {
    let convert = |written: WrittenDescriptor| {
        let digest = written.digest.parse().map_err(|error| {
            ManifestError(format!(
                "the manifest names a blob that cannot be checked: {error}"
            ))
        })?;
        let mut annotations = written.annotations.unwrap_or_default();
        Ok(Descriptor {
            media_type: written.media_type,
            digest,
            size: written.size,
            signature: annotations.signature.take(),
            artifact_type: written.artifact_type,
            is_attestation: annotations.reference_type.as_deref() == Some("attestation-manifest"),
            platform: written.platform,
        })
    };
    written.into_iter().map(convert).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    schema_version: u64,
    media_type: Option<String>,
    layers: Option<Vec<WrittenDescriptor>>,
    manifests: Option<Vec<WrittenDescriptor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenDescriptor {
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
    artifact_type: Option<String>,
    annotations: Option<Annotations>,
}

#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(rename = "dev.cosignproject.cosign/signature")]
    signature: Option<String>,
    #[serde(rename = "vnd.docker.reference.type")]
    reference_type: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

#[cfg(test)]
mod tests;

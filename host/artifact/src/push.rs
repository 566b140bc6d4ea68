//! Uploads a plugin in the layout of OCI Wasm artifacts: a config, one layer that is the Wasm, and a manifest.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::json;
use tokio::time::timeout;

use crate::manifest::{OCI_MANIFEST, WASM_CONFIG, WASM_LAYER};
use crate::registry::{Access, Session};
use crate::{Credentials, Digest, FetchError, Fetcher, Reference, check_wasm};

/// A component's version, which stands after `\0asm`; core modules have another.
const COMPONENT: [u8; 4] = [0x0d, 0, 1, 0];

/// What to upload, and where to.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// `registry/repository:tag`.
    pub reference: String,
    /// Speak HTTP without TLS.
    pub plain_http: bool,
    /// For registries that ask.
    pub credentials: Option<Credentials>,
    /// The Wasm.
    pub wasm: Bytes,
    /// When it was made, in RFC 3339 form. Without it the same Wasm always has the same manifest digest.
    pub created: Option<String>,
    /// What registries and people read, such as `org.opencontainers.image.source`.
    pub annotations: BTreeMap<String, String>,
    /// What a component imports and exports, for tools that read it from the config.
    pub component: Option<ComponentNames>,
}

/// Names of a component's interfaces, such as `weir:policy/exchange@0.1.0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComponentNames {
    /// What it needs.
    pub imports: Vec<String>,
    /// What it offers.
    pub exports: Vec<String>,
}

/// What was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// `registry/repository@sha256:…`, to pin or sign.
    pub resolved: String,
    /// Of the manifest.
    pub manifest: Digest,
    /// Of the Wasm.
    pub digest: Digest,
    /// Of the Wasm, in bytes.
    pub size: u64,
}

impl Fetcher {
    /// Uploads a plugin. What the registry has already is not uploaded again.
    ///
    /// # Errors
    /// When the request makes no sense or the registry refuses.
    pub async fn push(&self, request: &PushRequest) -> Result<Pushed, FetchError> {
        check_wasm(&request.wasm)
            .map_err(|error| FetchError::malformed("the file to push", error.to_string()))?;
        let size = request.wasm.len() as u64;
        if size > self.limits.wasm_bytes {
            return Err(FetchError::TooLarge {
                what: "the file to push".into(),
                limit: self.limits.wasm_bytes,
            });
        }
        let reference: Reference = request
            .reference
            .parse()
            .map_err(|error: crate::NotAReference| FetchError::Request(error.to_string()))?;
        let after = self.limits.total_timeout;
        timeout(after, self.upload(request, &reference))
            .await
            .map_err(|_| FetchError::Timeout {
                what: format!("pushing {reference}"),
                after,
            })?
    }

    async fn upload(&self, request: &PushRequest, reference: &Reference) -> Result<Pushed, FetchError> {
        let mut session = Session::new(
            &self.client,
            &self.limits,
            reference,
            request.plain_http,
            request.credentials.as_ref(),
            Access::Push,
        )?;
        let digest = session.push_blob(&request.wasm).await?;
        let config = config(request, digest);
        let config_digest = session.push_blob(&config).await?;
        let size = request.wasm.len() as u64;
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": WASM_CONFIG, "digest": config_digest.to_string(), "size": config.len()},
            "layers": [{"mediaType": WASM_LAYER, "digest": digest.to_string(), "size": size}],
        });
        if let Some(fields) = manifest.as_object_mut()
            && !request.annotations.is_empty()
        {
            fields.insert("annotations".into(), json!(request.annotations));
        }
        let manifest = session.push_manifest(&manifest.to_string().into()).await?;
        Ok(Pushed {
            resolved: reference.at(manifest).to_string(),
            manifest,
            digest,
            size,
        })
    }
}

fn config(request: &PushRequest, digest: Digest) -> Bytes {
    let is_component = request.wasm.get(4..8) == Some(&COMPONENT);
    let mut config = json!({
        "architecture": "wasm",
        "os": if is_component { "wasip2" } else { "wasip1" },
        "layerDigests": [digest.to_string()],
    });
    if let Some(fields) = config.as_object_mut() {
        if let Some(created) = &request.created {
            fields.insert("created".into(), json!(created));
        }
        if let Some(ComponentNames { imports, exports }) = request.component.as_ref().filter(|_| is_component)
        {
            fields.insert(
                "component".into(),
                json!({"imports": imports, "exports": exports, "target": null}),
            );
        }
    }
    config.to_string().into()
}

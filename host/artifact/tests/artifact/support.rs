//! Requests, layouts and fetchers, in as few words as tests can read.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use weir_artifact::{
    ArtifactRequest, Credentials, Digest, FetchError, Fetcher, Limits, Options, PushRequest, Source,
};
use weir_harness::Registry;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A component with something in it.
pub(crate) fn wasm(text: &str) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0", text.as_bytes()].concat()
}

/// Short waits, small sizes.
pub(crate) fn limits() -> Limits {
    Limits {
        manifest_bytes: 64 << 10,
        download_bytes: 1 << 20,
        wasm_bytes: 1 << 20,
        archive_bytes: 2 << 20,
        idle_timeout: Duration::from_secs(10),
        ..Limits::default()
    }
}

pub(crate) fn fetcher() -> Fetcher {
    fetcher_with(|_| {})
}

pub(crate) fn fetcher_with(change: impl FnOnce(&mut Options)) -> Fetcher {
    let mut options = Options {
        limits: limits(),
        ..Options::default()
    };
    change(&mut options);
    Fetcher::build(&options).expect("a fetcher")
}

pub(crate) fn storing(folder: &Path) -> Fetcher {
    fetcher_with(|options| options.store = Some(folder.join("store")))
}

pub(crate) fn oci(reference: impl Into<String>) -> ArtifactRequest {
    request(Source::Oci {
        reference: reference.into(),
        plain_http: true,
        credentials: None,
    })
}

pub(crate) fn http(url: impl Into<String>) -> ArtifactRequest {
    request(Source::Http { url: url.into() })
}

pub(crate) fn request(source: Source) -> ArtifactRequest {
    ArtifactRequest {
        owner: "team".into(),
        source,
        digest: None,
        public_key: None,
    }
}

pub(crate) fn with_credentials(mut request: ArtifactRequest, user: &str, password: &str) -> ArtifactRequest {
    if let Source::Oci { credentials, .. } = &mut request.source {
        *credentials = Some(Credentials {
            user: user.into(),
            password: password.into(),
        });
    }
    request
}

pub(crate) fn push(reference: impl Into<String>, wasm: &[u8]) -> PushRequest {
    PushRequest {
        reference: reference.into(),
        plain_http: true,
        credentials: None,
        wasm: wasm.to_vec().into(),
        created: None,
        annotations: std::collections::BTreeMap::new(),
        component: None,
    }
}

/// Fails the test unless the fetch fails with these words.
pub(crate) async fn check_refused(fetcher: &Fetcher, request: &ArtifactRequest, words: &str) -> FetchError {
    let error = fetcher.fetch(request).await.expect_err("refused");
    let text = error.to_string();
    assert!(text.contains(words), "{text} lacks {words}");
    error
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

/// Uploads a manifest of these layers, and them, and a config; returns the manifest.
pub(crate) fn put_image(
    registry: &Registry,
    repository: &str,
    tag: &str,
    media_type: &str,
    layers: &[(&str, &[u8])],
) -> Vec<u8> {
    let config: &[u8] = b"{}";
    registry.put_blob(repository, &digest(config), config);
    let mut written = Vec::new();
    for (media_type, bytes) in layers {
        registry.put_blob(repository, &digest(bytes), bytes);
        written.push(descriptor(media_type, bytes));
    }
    let config_type = if media_type == MANIFEST {
        "application/vnd.oci.image.config.v1+json"
    } else {
        "application/vnd.docker.container.image.v1+json"
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(config_type, config),
        "layers": written,
    });
    let manifest = manifest.to_string().into_bytes();
    registry.put_manifest(repository, tag, media_type, &manifest);
    manifest
}

pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).expect("written");
    }
    builder.into_inner().expect("written")
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("written")
}

/// An HTTP answer.
pub(crate) fn answer(status: u16, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in fields {
        write!(head, "{name}: {value}\r\n").expect("written");
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

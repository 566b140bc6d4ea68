//! Signatures where cosign puts them, in a real registry and beside files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use serde_json::json;
use weir_artifact::{ArtifactRequest, Digest, PublicKey, Source};
use weir_harness::{Origin, Registry};

use crate::support::*;

const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

struct Signer {
    pair: KeyPair,
    public: PublicKey,
}

impl Signer {
    fn new() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let public = pair.public_key_pem().parse().expect("a key");
        Self { pair, public }
    }

    fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.pair.sign(message).expect("signed"))
    }

    /// Puts a signature of one manifest under the tag for another's.
    fn put_payload(&self, registry: &Registry, about: Digest, signed: Digest) {
        let payload = json!({"critical": {
            "identity": {"docker-reference": "r.example/geo"},
            "image": {"docker-manifest-digest": signed.to_string()},
            "type": "cosign container image signature",
        }, "optional": null});
        let payload = payload.to_string().into_bytes();
        let config: &[u8] = b"{}";
        registry.put_blob("geo", &digest(config), config);
        registry.put_blob("geo", &digest(&payload), &payload);
        let mut layer = descriptor(SIMPLE, &payload);
        layer["annotations"] = json!({"dev.cosignproject.cosign/signature": self.sign(&payload)});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [layer],
        });
        let tag = format!("{}.sig", about.to_string().replace(':', "-"));
        registry.put_manifest("geo", &tag, MANIFEST, manifest.to_string().as_bytes());
    }

    /// Puts a bundle where a registry without the referrers API lists what is about a manifest.
    fn put_bundle(&self, registry: &Registry, manifest: Digest) {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": manifest.to_string().replace("sha256:", "")}}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        });
        let (kind, statement) = ("application/vnd.in-toto+json", statement.to_string());
        let message = format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len());
        let bundle = json!({"mediaType": BUNDLE, "dsseEnvelope": {
            "payload": STANDARD.encode(&statement),
            "payloadType": kind,
            "signatures": [{"sig": self.sign(message.as_bytes())}],
        }});
        let bundle = bundle.to_string().into_bytes();
        let carrier = put_image(registry, "geo", "carrier", MANIFEST, &[(BUNDLE, &bundle)]);
        let mut entry = descriptor(MANIFEST, &carrier);
        entry["artifactType"] = json!(BUNDLE);
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
        let tag = manifest.to_string().replace(':', "-");
        registry.put_manifest("geo", &tag, INDEX, index.to_string().as_bytes());
    }
}

struct Signed {
    registry: Registry,
    manifest: Digest,
    request: ArtifactRequest,
    _folder: tempfile::TempDir,
}

/// An unsigned plugin, asked for with a key.
async fn unsigned(key: &PublicKey) -> Signed {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path());
    let reference = format!("{}/geo:1", registry.name());
    let pushed = fetcher()
        .push(&push(&reference, &wasm("geo")))
        .await
        .expect("pushed");
    let mut request = oci(reference);
    request.public_key = Some(key.clone());
    Signed {
        registry,
        manifest: pushed.manifest,
        request,
        _folder: folder,
    }
}

#[tokio::test]
async fn a_signature_in_the_tag_is_accepted_and_its_absence_is_not() {
    let signer = Signer::new();
    let signed = unsigned(&signer.public).await;
    check_refused(
        &fetcher(),
        &signed.request,
        "it has no signature; sign it with `cosign sign",
    )
    .await;
    signer.put_payload(&signed.registry, signed.manifest, signed.manifest);
    fetcher().fetch(&signed.request).await.expect("signed");
}

#[tokio::test]
async fn a_bundle_that_refers_to_the_manifest_is_accepted() {
    let signer = Signer::new();
    let signed = unsigned(&signer.public).await;
    signer.put_bundle(&signed.registry, signed.manifest);
    fetcher().fetch(&signed.request).await.expect("signed");
}

#[tokio::test]
async fn a_strangers_signature_or_one_of_another_manifest_is_refused() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let signed = unsigned(&signer.public).await;
    stranger.put_payload(&signed.registry, signed.manifest, signed.manifest);
    check_refused(&fetcher(), &signed.request, "another key signed it").await;
    signer.put_payload(&signed.registry, signed.manifest, Digest::of(b"other"));
    check_refused(&fetcher(), &signed.request, "the key signed another manifest").await;
    stranger.put_bundle(&signed.registry, signed.manifest);
    let error = check_refused(&fetcher(), &signed.request, "none of its 2 signatures is good").await;
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_file_of_a_web_server_is_signed_by_the_file_beside_it() {
    let signer = Signer::new();
    let signature = signer.sign(&wasm("geo"));
    let server = Origin::answering(move |request| match request.line.split(' ').nth(1) {
        Some("/geo.wasm?v=1" | "/unsigned.wasm") => answer(200, &[], &wasm("geo")),
        Some("/changed.wasm") => answer(200, &[], &wasm("changed")),
        Some("/geo.wasm.sig?v=1" | "/changed.wasm.sig") => answer(200, &[], signature.as_bytes()),
        _ => answer(404, &[], b""),
    });
    let request = |path: &str| {
        let mut request = http(format!("http://{}/{path}", server.address));
        request.public_key = Some(signer.public.clone());
        request
    };
    fetcher().fetch(&request("geo.wasm?v=1")).await.expect("signed");
    check_refused(
        &fetcher(),
        &request("changed.wasm"),
        "the key did not sign these bytes",
    )
    .await;
    check_refused(&fetcher(), &request("unsigned.wasm"), "cosign sign-blob").await;
}

#[tokio::test]
async fn a_local_file_is_signed_by_the_file_beside_it() {
    let signer = Signer::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("geo.wasm");
    std::fs::write(&path, wasm("geo")).expect("written");
    let mut request = request(Source::File { path: path.clone() });
    assert_eq!(fetcher().fetch(&request).await.expect("read").bytes, wasm("geo"));
    request.public_key = Some(signer.public.clone());
    check_refused(&fetcher(), &request, "geo.wasm.sig").await;
    std::fs::write(folder.path().join("geo.wasm.sig"), signer.sign(&wasm("geo"))).expect("written");
    fetcher().fetch(&request).await.expect("signed");
    std::fs::write(&path, wasm("changed")).expect("written");
    check_refused(&fetcher(), &request, "the key did not sign these bytes").await;
}

//! Credentials: who gets them, and who does not.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use weir_harness::{Origin, Registry, RegistrySetup};

use crate::support::*;

/// `puller` with the password `open sesame`.
const USERS: &str = "puller:$2a$04$aOrIe37dzv/GD/195mmWCuYdTBqEcyIbwsC8WwF3G/VHzSNGvIeVO\n";

#[tokio::test]
async fn a_registry_that_asks_for_a_password_gets_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = RegistrySetup {
        users: Some(USERS.into()),
        ..RegistrySetup::default()
    };
    let registry = Registry::start_with(folder.path(), &setup);
    let fetcher = fetcher();
    let reference = format!("{}/geo:1", registry.name());
    let request = oci(&reference);
    check_refused(&fetcher, &request, "401: the credentials are missing or wrong").await;
    let wrong = with_credentials(request.clone(), "puller", "wrong");
    check_refused(&fetcher, &wrong, "401: the credentials are missing or wrong").await;

    let right = with_credentials(request, "puller", "open sesame");
    let mut pushing = push(&reference, &wasm("geo"));
    assert!(fetcher.push(&pushing).await.is_err());
    if let weir_artifact::Source::Oci { credentials, .. } = &right.source {
        pushing.credentials.clone_from(credentials);
    }
    fetcher.push(&pushing).await.expect("pushed");
    assert_eq!(fetcher.fetch(&right).await.expect("fetched").bytes, wasm("geo"));
}

/// A registry that wants a token from a service of its own, and keeps its blobs on another server.
struct Guarded {
    registry: Origin,
    tokens: Origin,
    storage: Origin,
}

impl Guarded {
    fn start() -> Self {
        let storage = Origin::answering(|_| answer(200, &[], &wasm("geo")));
        let tokens = Origin::answering(|request| {
            let password = format!("Basic {}", STANDARD.encode("puller:open sesame"));
            if request
                .header("authorization")
                .is_some_and(|given| given != password)
            {
                return answer(401, &[], b"");
            }
            answer(200, &[], br#"{"token":"t0ken"}"#)
        });
        let challenge = format!(
            r#"Bearer realm="http://{}/token?a=b",service="the registry",scope="repository:geo:pull""#,
            tokens.address
        );
        let place = format!("http://{}/blob?signature=secret", storage.address);
        let manifest = manifest();
        let registry = Origin::answering(move |request| {
            if request.header("authorization") != Some("Bearer t0ken") {
                return answer(401, &[("www-authenticate", &challenge)], b"");
            }
            if request.line.contains("/blobs/") {
                return answer(307, &[("location", &place)], b"");
            }
            let fields = [("docker-content-digest", digest(&manifest))];
            let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
            if request.line.starts_with("HEAD ") {
                return answer(200, &fields, b"");
            }
            answer(200, &fields, &manifest)
        });
        Self {
            registry,
            tokens,
            storage,
        }
    }

    fn reference(&self) -> String {
        format!("{}/geo:1", self.registry.address)
    }
}

fn manifest() -> Vec<u8> {
    let layer = descriptor("application/wasm", &wasm("geo"));
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer]});
    manifest.to_string().into_bytes()
}

#[tokio::test]
async fn a_token_is_fetched_once_and_sent_to_the_registry_alone() {
    let guarded = Guarded::start();
    let request = with_credentials(oci(guarded.reference()), "puller", "open sesame");
    let artifact = fetcher().fetch(&request).await.expect("fetched");
    assert_eq!(artifact.bytes, wasm("geo"));

    let asked = guarded.tokens.seen.requests();
    assert_eq!(asked.len(), 1, "one token for the whole conversation");
    assert_eq!(
        asked[0].line,
        "GET /token?a=b&service=the+registry&scope=repository%3Ageo%3Apull HTTP/1.1"
    );
    let seen_by_registry = guarded.registry.seen.requests();
    assert!(
        seen_by_registry.iter().all(|request| request
            .header("authorization")
            .is_none_or(|given| given == "Bearer t0ken")),
        "the password goes to the token service only"
    );
    assert_eq!(guarded.storage.seen.last().header("authorization"), None);
}

#[tokio::test]
async fn without_credentials_a_token_is_asked_for_anonymously() {
    let guarded = Guarded::start();
    fetcher().fetch(&oci(guarded.reference())).await.expect("fetched");
    assert_eq!(guarded.tokens.seen.last().header("authorization"), None);
}

#[tokio::test]
async fn wrong_credentials_are_said_to_be_wrong() {
    let guarded = Guarded::start();
    let request = with_credentials(oci(guarded.reference()), "puller", "wrong");
    let error = check_refused(&fetcher(), &request, "/token answered 401: the credentials").await;
    assert!(!error.is_transient());
    assert!(!error.to_string().contains("wrong\""), "{error}");
}

#[tokio::test]
async fn storage_that_asks_for_a_password_gets_none() {
    let storage = Origin::answering(|_| answer(401, &[("www-authenticate", "Basic realm=\"x\"")], b""));
    let place = format!("http://{}/blob", storage.address);
    let manifest = manifest();
    let registry = Origin::answering(move |request| {
        if request.line.contains("/blobs/") {
            return answer(302, &[("location", &place)], b"");
        }
        if request.line.starts_with("HEAD ") {
            return answer(405, &[], b"");
        }
        answer(200, &[], &manifest)
    });
    let request = with_credentials(
        oci(format!("{}/geo:1", registry.address)),
        "puller",
        "open sesame",
    );
    check_refused(&fetcher(), &request, "answered 401").await;
    let asked = storage.seen.requests();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("authorization"), None);
}

#[tokio::test]
async fn an_upload_that_leads_elsewhere_goes_without_the_token() {
    let elsewhere = Origin::answering(|_| answer(201, &[], b""));
    let place = format!("http://{}/upload?state=1", elsewhere.address);
    let given = Arc::new(Mutex::new(Vec::new()));
    let remembered = Arc::clone(&given);
    let registry = Origin::answering(move |request| {
        let authorization = request.header("authorization").map(str::to_owned);
        remembered.lock().expect("no panic").push(authorization.clone());
        if authorization.is_none() {
            return answer(401, &[("www-authenticate", "Basic realm=\"x\"")], b"");
        }
        match request.line.split(' ').next() {
            Some("HEAD") => answer(404, &[], b""),
            Some("POST") => answer(202, &[("location", &place)], b""),
            _ => answer(201, &[], b""),
        }
    });
    let mut request = push(format!("{}/geo:1", registry.address), &wasm("geo"));
    request.credentials = Some(weir_artifact::Credentials {
        user: "puller".into(),
        password: "open sesame".into(),
    });
    fetcher().push(&request).await.expect("pushed");
    let uploads = elsewhere.seen.requests();
    assert_eq!(uploads.len(), 2, "the Wasm and the config");
    assert!(
        uploads
            .iter()
            .all(|upload| upload.header("authorization").is_none())
    );
    assert!(
        uploads[0]
            .line
            .starts_with("PUT /upload?state=1&digest=sha256%3A"),
        "{}",
        uploads[0].line
    );
    assert_eq!(
        given.lock().expect("no panic").first(),
        Some(&None),
        "nothing is sent before it is asked for"
    );
}

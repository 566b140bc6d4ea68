//! Web servers and TLS.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use weir_artifact::{Digest, Source};
use weir_harness::{Origin, Registry, RegistrySetup};

use crate::support::*;

#[tokio::test]
async fn a_file_of_a_web_server_is_fetched_and_pinned_by_its_content() {
    let server = Origin::answering(|_| answer(200, &[], &wasm("geo")));
    let mut request = http(format!("http://{}/geo.wasm", server.address));
    let artifact = fetcher().fetch(&request).await.expect("fetched");
    assert_eq!(artifact.bytes, wasm("geo"));
    assert_eq!(artifact.resolved, format!("http://{}/geo.wasm", server.address));
    request.digest = Some(Digest::of(&wasm("geo")));
    fetcher().fetch(&request).await.expect("the pin fits");
    request.digest = Some(Digest::of(b"other"));
    check_refused(&fetcher(), &request, "has digest").await;
}

#[tokio::test]
async fn an_unchanged_file_is_not_downloaded_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Origin::answering(|request| {
        if request.header("if-none-match") == Some("\"1\"") {
            return b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec();
        }
        answer(200, &[("etag", "\"1\"")], &wasm("geo"))
    });
    let request = http(format!("http://{}/geo.wasm", server.address));
    let first = storing(folder.path()).fetch(&request).await.expect("fetched");
    assert_eq!(storing(folder.path()).fetch(&request).await.expect("kept"), first);
    assert_eq!(server.seen.last().header("if-none-match"), Some("\"1\""));
}

#[tokio::test]
async fn urls_that_are_none_or_carry_a_password_are_refused() {
    let fetcher = fetcher();
    check_refused(&fetcher, &http("ftp://a.example/x"), "must start with http").await;
    check_refused(&fetcher, &http("geo.wasm"), "is not a URL").await;
    let error = check_refused(
        &fetcher,
        &http("https://me:secret@a.example/x"),
        "user or password",
    )
    .await;
    assert!(!error.to_string().contains("secret"), "{error}");
    check_refused(&fetcher, &oci("geo:1"), "is not an OCI reference").await;
    let missing = request(Source::File {
        path: "/nonexistent/geo.wasm".into(),
    });
    check_refused(&fetcher, &missing, "/nonexistent/geo.wasm").await;
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_its_certificate_is_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().expect("a key");
    let ca = params.self_signed(&ca_key).expect("a certificate");
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .and_then(|params| params.signed_by(&key, &issuer))
        .expect("a certificate");
    let ca_file = file("ca.pem", ca.pem());
    let setup = RegistrySetup {
        tls: Some((
            file("cert.pem", certificate.pem()),
            file("key.pem", key.serialize_pem()),
        )),
        ..RegistrySetup::default()
    };
    let registry = Registry::start_with(folder.path(), &setup);
    let reference = format!("{}/geo:1", registry.name());
    let request = request(Source::Oci {
        reference: reference.clone(),
        plain_http: false,
        credentials: None,
    });
    check_refused(&fetcher(), &request, "invalid peer certificate: UnknownIssuer").await;

    let trusting = fetcher_with(|options| options.ca_file = Some(ca_file));
    let mut pushing = push(&reference, &wasm("geo"));
    pushing.plain_http = false;
    trusting.push(&pushing).await.expect("pushed");
    assert_eq!(
        trusting.fetch(&request).await.expect("fetched").bytes,
        wasm("geo")
    );
    check_refused(&trusting, &oci(reference), "answered 400").await;
}

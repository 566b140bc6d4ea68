//! Which references and URLs are taken, and what they mean.

use super::*;

const DIGEST: &str = "sha256:abababababababababababababababababababababababababababababababab";

#[test]
fn a_tag_is_polled_and_a_digest_is_not() {
    let tag = OciSource::new("ghcr.io/acme/policies/geo:v1.2").unwrap();
    assert_eq!(
        (tag.registry(), tag.poll, tag.is_pinned()),
        ("ghcr.io", Some(OciSource::DEFAULT_POLL), false)
    );
    for pinned in [
        format!("ghcr.io/acme/geo@{DIGEST}"),
        format!("ghcr.io/acme/geo:v1@{DIGEST}"),
    ] {
        let source = OciSource::new(&pinned).unwrap();
        assert_eq!((source.poll, source.is_pinned()), (None, true), "{pinned}");
    }
}

#[test]
fn a_reference_that_leaves_a_part_to_guess_is_refused() {
    let check = |text: &str, expect: &str| {
        let error = OciSource::new(text).unwrap_err().to_string();
        assert!(error.contains(expect), "{text}: {error}");
    };
    check("geo:v1", "names no registry");
    check("library/geo:v1", "names no registry");
    check("/geo:v1", "names no registry");
    check("ghcr.io:/geo:v1", "names no registry");
    check("ghcr.io:abc/geo:v1", "names no registry");
    check("ghcr.io:99999/geo:v1", "names no registry");
    check("./geo:v1", "names no registry");
    check("../geo:v1", "names no registry");
    check("user@ghcr.io/geo:v1", "names no registry");
    check("https://ghcr.io/geo:v1", "names no registry");
    check("ghcr.io/acme/geo", "neither tag nor digest");
    check("ghcr.io/Acme/geo:v1", "malformed repository");
    check("ghcr.io/acme//geo:v1", "malformed repository");
    check("ghcr.io/../geo:v1", "malformed repository");
    check("ghcr.io/acme/geo:", "malformed tag");
    check("ghcr.io/acme/geo:a b", "malformed tag");
    check("ghcr.io/acme/geo@sha256:12", "malformed digest");
    check("ghcr.io/acme/geo@md5:12", "malformed digest");
}

#[test]
fn plain_http_is_exposed_unless_it_stays_on_this_machine() {
    let exposed = |registry: &str| {
        let source = OciSource::new(&format!("{registry}/geo:v1")).unwrap();
        OciSource {
            plain_http: true,
            ..source
        }
        .is_exposed()
    };
    assert!(exposed("registry.example:5000"));
    assert!(exposed("10.0.0.1:5000"));
    assert!(!exposed("localhost:5000"));
    assert!(!exposed("localhost"));
    assert!(!exposed("127.0.0.1:5000"));
    assert!(!exposed("[::1]:5000"));
    assert!(exposed("localhost.example"));
}

#[test]
fn a_url_is_absolute_and_holds_no_password() {
    let url = |text: &str| text.parse::<HttpSource>();
    assert!(!url("https://example.com/p.wasm?v=1").unwrap().needs_digest());
    assert!(url("http://example.com/p.wasm").unwrap().needs_digest());
    assert!(!url("http://localhost:8000/p.wasm").unwrap().needs_digest());
    assert!(!url("http://127.0.0.1/p.wasm").unwrap().needs_digest());
    assert!(!url("http://[::1]:80/p.wasm").unwrap().needs_digest());
    assert!(url("http://localhost.example/p.wasm").unwrap().needs_digest());
    for bad in [
        "",
        "p.wasm",
        "/p.wasm",
        "ftp://example.com/p",
        "https://",
        "https://a b/",
        "https://a/#b",
        "https://a:99999/",
        "https://a:/",
        "https://../p",
        "https://a_b/p",
    ] {
        assert_eq!(url(bad), Err(HttpSourceError::Malformed(bad.to_owned())));
    }
    let error = url("https://me:hunter2@example.com/p.wasm").unwrap_err();
    assert_eq!(error, HttpSourceError::UserInformation);
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn a_password_does_not_reach_the_log() {
    let secret = PullSecret {
        username: "me".to_owned(),
        password: "hunter2".to_owned(),
    };
    let source = OciSource {
        pull_secret: Some(secret),
        ..OciSource::new("ghcr.io/acme/geo:v1").unwrap()
    };
    let text = format!("{source:?}");
    assert!(text.contains("me") && !text.contains("hunter2"), "{text}");
}

//! What goes over the wire, and what need not.

use serde_json::json;
use weir_harness::Origin;

use crate::support::*;

fn methods(server: &Origin) -> Vec<String> {
    let requests = server.seen.requests();
    requests
        .iter()
        .map(|request| request.line.split(' ').next().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn a_tag_that_did_not_move_costs_one_head() {
    let folder = tempfile::tempdir().expect("a folder");
    let layer = descriptor("application/wasm", &wasm("geo"));
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer]}).to_string();
    let named = digest(manifest.as_bytes());
    let server = Origin::answering(move |request| {
        if request.line.contains("/blobs/") {
            return answer(200, &[], &wasm("geo"));
        }
        if request.line.starts_with("HEAD ") {
            return answer(200, &[("docker-content-digest", &named)], b"");
        }
        answer(200, &[], manifest.as_bytes())
    });
    let request = oci(format!("{}/geo:1", server.address));
    let fetcher = storing(folder.path());
    let first = fetcher.fetch(&request).await.expect("fetched");
    assert_eq!(methods(&server), ["HEAD", "GET", "GET"]);
    assert_eq!(fetcher.fetch(&request).await.expect("unchanged"), first);
    assert_eq!(methods(&server), ["HEAD", "GET", "GET", "HEAD"]);
}

#[tokio::test]
async fn a_registry_is_asked_for_every_kind_of_manifest_in_one_field() {
    let server = Origin::answering(|_| answer(404, &[], b""));
    check_refused(&fetcher(), &oci(format!("{}/geo:1", server.address)), "404").await;
    let request = server.seen.last();
    assert_eq!(request.line, "HEAD /v2/geo/manifests/1 HTTP/1.1");
    let accepted: Vec<_> = request
        .headers
        .iter()
        .filter(|(name, _)| name == "accept")
        .collect();
    assert_eq!(accepted.len(), 1);
    for kind in [MANIFEST, INDEX, "manifest.v2+json", "manifest.list.v2+json"] {
        assert!(accepted[0].1.contains(kind), "{kind}");
    }
}

#[tokio::test]
async fn what_a_registry_has_is_not_uploaded_again() {
    let server = Origin::answering(|request| match request.line.split(' ').next() {
        Some("HEAD") => answer(200, &[], b""),
        _ => answer(201, &[], b""),
    });
    let pushed = push(format!("{}/geo:1", server.address), &wasm("geo"));
    fetcher().push(&pushed).await.expect("pushed");
    assert_eq!(methods(&server), ["HEAD", "HEAD", "PUT"]);
}

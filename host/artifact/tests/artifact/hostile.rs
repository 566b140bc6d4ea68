//! Servers that lie, stall, flood and lead astray. Each must cost little and be named.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;
use weir_artifact::{ArtifactRequest, FetchError};
use weir_harness::Origin;

use crate::support::*;

/// A registry with one manifest, which answers requests for blobs as the test wants.
fn registry(manifest: Vec<u8>, blob: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Origin {
    Origin::answering(move |request| {
        if request.line.contains("/blobs/") {
            blob()
        } else if request.line.starts_with("HEAD ") {
            answer(405, &[], b"")
        } else {
            answer(200, &[("content-type", MANIFEST)], &manifest)
        }
    })
}

fn manifest(digest: &str, size: u64) -> Vec<u8> {
    let layer = json!({"mediaType": "application/wasm", "digest": digest, "size": size});
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer]})
        .to_string()
        .into_bytes()
}

fn geo(server: &Origin) -> ArtifactRequest {
    oci(format!("{}/geo:1", server.address))
}

async fn check_blob(size: u64, blob: Vec<u8>, words: &str) -> FetchError {
    let manifest = manifest(&digest(&wasm("geo")), size);
    let server = registry(manifest, move || blob.clone());
    check_refused(&fetcher(), &geo(&server), words).await
}

#[tokio::test]
async fn a_blob_of_another_digest_or_size_is_refused() {
    let size = wasm("geo").len() as u64;
    check_blob(size, answer(200, &[], &wasm("gex")), "has digest").await;
    check_blob(
        size + 1,
        answer(200, &[], &wasm("geo")),
        "has 11 bytes and not 12",
    )
    .await;
    check_blob(
        size - 1,
        answer(200, &[], &wasm("geo")),
        "larger than the limit of 10 bytes",
    )
    .await;
    check_blob(
        1 << 40,
        answer(200, &[], &wasm("geo")),
        "larger than the limit of 1048576",
    )
    .await;
    let endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffff\r\n";
    let flood = [&endless[..], &vec![b'x'; 0x00ff_ffff]].concat();
    check_blob(size, flood, "larger than the limit of 11 bytes").await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_worth_another_try() {
    let server = Origin::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n\0asm")?;
        Ok(false)
    });
    let request = http(format!("http://{}/geo.wasm", server.address));
    let error = check_refused(&fetcher(), &request, "cannot reach").await;
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn a_manifest_is_bounded_and_checked_against_what_the_server_says_of_it() {
    let large = Origin::answering(|request| {
        if request.line.starts_with("HEAD ") {
            return answer(405, &[], b"");
        }
        answer(200, &[], &vec![b' '; 70_000])
    });
    check_refused(&fetcher(), &geo(&large), "larger than the limit of 65536 bytes").await;
    let lying = Origin::answering(|request| {
        let other = digest(b"other");
        let fields = [("docker-content-digest", other.as_str())];
        let body: &[u8] = if request.line.starts_with("HEAD ") {
            b""
        } else {
            b"{}"
        };
        answer(200, &fields, body)
    });
    check_refused(&fetcher(), &geo(&lying), "has digest").await;
    let damaged = Origin::answering(|request| {
        if request.line.starts_with("HEAD ") {
            return answer(405, &[], b"");
        }
        answer(
            200,
            &[("docker-content-digest", digest(b"other").as_str())],
            b"{}",
        )
    });
    check_refused(&fetcher(), &geo(&damaged), "has digest").await;
    let page = Origin::answering(|request| {
        if request.line.starts_with("HEAD ") {
            return answer(200, &[], b"");
        }
        answer(200, &[("content-type", "text/html")], b"<html>secret</html>")
    });
    let error = check_refused(&fetcher(), &geo(&page), "the manifest is not valid").await;
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn a_server_that_stalls_is_given_up() {
    let head = Origin::start(|_, _| {
        std::thread::park();
        Ok(false)
    });
    let body = Origin::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n\0asm")?;
        std::thread::park();
        Ok(false)
    });
    let impatient = fetcher_with(|options| options.limits.idle_timeout = Duration::from_millis(100));
    for (server, words) in [(head, "the answer of"), (body, "the next bytes of")] {
        let request = http(format!("http://{}/geo.wasm", server.address));
        let error = check_refused(&impatient, &request, words).await;
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains("took longer than 0.1 s"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_drips_for_ever_is_given_up_in_the_end() {
    let server = Origin::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            stream.write_all(b"1\r\nx\r\n")?;
            std::thread::park_timeout(Duration::from_millis(10));
        }
    });
    let patient = fetcher_with(|options| options.limits.total_timeout = Duration::from_millis(300));
    let started = Instant::now();
    let request = http(format!("http://{}/geo.wasm", server.address));
    let error = check_refused(&patient, &request, "fetching http://").await;
    assert!(error.is_transient(), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn redirects_end_and_lead_nowhere_else() {
    let circle = Origin::answering(|_| answer(302, &[("location", "/again")], b""));
    let request = http(format!("http://{}/geo.wasm", circle.address));
    check_refused(&fetcher(), &request, "it is one too many").await;
    assert_eq!(circle.seen.requests().len(), 6);
    for (place, words) in [
        ("file:///etc/passwd", "not http or https"),
        ("http://me:pw@127.0.0.1/", "user or password"),
        ("http://[", "not a URL"),
    ] {
        let server = Origin::answering(move |_| answer(302, &[("location", place)], b""));
        let request = http(format!("http://{}/geo.wasm", server.address));
        let error = check_refused(&fetcher(), &request, words).await;
        assert!(!error.is_transient());
    }
    let nowhere = Origin::answering(|_| answer(302, &[], b""));
    let request = http(format!("http://{}/geo.wasm", nowhere.address));
    check_refused(&fetcher(), &request, "does not say where to").await;
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    let server = Origin::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            stream.write_all(b"x-field: 0123456789abcdef0123456789abcdef0123456789abcdef\r\n")?;
        }
    });
    let request = http(format!("http://{}/geo.wasm", server.address));
    check_refused(&fetcher(), &request, "cannot reach").await;
}

#[tokio::test]
async fn what_a_server_says_with_an_error_is_not_repeated() {
    let server = Origin::answering(|_| answer(500, &[], b"root:x:0:0"));
    let request = http(format!("http://{}/geo.wasm?token=hidden", server.address));
    let error = check_refused(&fetcher(), &request, "answered 500").await;
    assert!(error.is_transient());
    assert!(!error.to_string().contains("root"), "{error}");
    assert!(!error.to_string().contains("hidden"), "{error}");
    let busy = Origin::answering(|_| answer(429, &[("retry-after", "17")], b""));
    let error = check_refused(
        &fetcher(),
        &http(format!("http://{}/", busy.address)),
        "too many requests",
    )
    .await;
    assert!(error.is_transient());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(17)));
    let server =
        Origin::answering(|_| answer(503, &[], br#"{"errors":[{"code":"DENIED","message":"secret"}]}"#));
    let error = check_refused(
        &fetcher(),
        &http(format!("http://{}/", server.address)),
        "503 (DENIED)",
    )
    .await;
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn nobody_listening_is_worth_another_try() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("an address")
    };
    let error = check_refused(&fetcher(), &oci(format!("{address}/geo:1")), "cannot reach").await;
    assert!(error.is_transient());
    assert!(error.to_string().contains("refused"), "{error}");
}

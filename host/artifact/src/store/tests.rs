//! What is served from disk, and to whom.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const WASM: &[u8] = b"\0asm plugin";

fn request(owner: &str, reference: &str) -> ArtifactRequest {
    ArtifactRequest {
        owner: owner.into(),
        source: Source::Oci {
            reference: reference.into(),
            plain_http: false,
            credentials: None,
        },
        digest: None,
        public_key: None,
    }
}

fn stored(bytes: &'static [u8]) -> Stored {
    Stored {
        artifact: Artifact {
            bytes: Bytes::from_static(bytes),
            digest: Digest::of(bytes),
            resolved: "r.example/a@sha256:0".into(),
        },
        validator: Some("\"1\"".into()),
    }
}

fn open(directory: &Path) -> Store {
    Store::open(directory, 1000).expect("opened")
}

fn files(directory: &Path) -> usize {
    ["content", "record"]
        .iter()
        .map(|part| fs::read_dir(directory.join(part)).expect("listed").count())
        .sum()
}

#[test]
fn what_was_kept_is_there_after_a_restart() {
    let directory = tempfile::tempdir().expect("a folder");
    let request = request("a", "r.example/a:1");
    assert!(open(directory.path()).get(&request).is_none());
    open(directory.path()).put(&request, &stored(WASM)).expect("kept");
    let found = open(directory.path()).get(&request).expect("found");
    assert_eq!(found.artifact, stored(WASM).artifact);
    assert_eq!(found.validator, stored(WASM).validator);
}

#[test]
fn nothing_is_served_to_another_owner_or_for_another_request() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    let mine = request("a", "r.example/a:1");
    store.put(&mine, &stored(WASM)).expect("kept");
    assert!(store.get(&request("b", "r.example/a:1")).is_none());
    assert!(store.get(&request("a", "r.example/a:2")).is_none());
    assert!(store.get(&request("ar.example/a", ":1")).is_none());
    let pinned = ArtifactRequest {
        digest: Some(Digest::of(WASM)),
        ..mine.clone()
    };
    assert!(store.get(&pinned).is_none());
    let key = include_str!("../signature/fixture/cosign.pub")
        .parse()
        .expect("a key");
    let signed = ArtifactRequest {
        public_key: Some(key),
        ..mine.clone()
    };
    assert!(
        store.get(&signed).is_none(),
        "what nobody verified is not served as verified"
    );
    assert!(store.get(&mine).is_some());
}

#[test]
fn new_credentials_find_what_old_ones_fetched() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    let mut rotated = request("a", "r.example/a:1");
    store.put(&rotated, &stored(WASM)).expect("kept");
    if let Source::Oci { credentials, .. } = &mut rotated.source {
        *credentials = Some(crate::Credentials {
            user: "u".into(),
            password: "p".into(),
        });
    }
    assert!(store.get(&rotated).is_some());
}

#[test]
fn damaged_content_is_never_served_and_can_be_replaced() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    let request = request("a", "r.example/a:1");
    store.put(&request, &stored(WASM)).expect("kept");
    fs::write(store.content(Digest::of(WASM)), b"\0asm other").expect("written");
    assert!(store.get(&request).is_none());
    store.put(&request, &stored(WASM)).expect("kept");
    assert!(store.get(&request).is_some());
    fs::write(store.record(&request), b"{").expect("written");
    assert!(store.get(&request).is_none());
}

#[test]
fn content_above_the_limit_is_not_read() {
    let directory = tempfile::tempdir().expect("a folder");
    let request = request("a", "r.example/a:1");
    open(directory.path()).put(&request, &stored(WASM)).expect("kept");
    let small = Store::open(directory.path(), WASM.len() as u64 - 1).expect("opened");
    assert!(small.get(&request).is_none());
}

#[test]
fn only_what_is_still_asked_for_is_retained() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    let (first, second) = (request("a", "r.example/a:1"), request("a", "r.example/b:1"));
    store.put(&first, &stored(WASM)).expect("kept");
    store.put(&second, &stored(b"\0asm other")).expect("kept");
    assert_eq!(files(directory.path()), 4);
    store.retain(std::slice::from_ref(&second)).expect("retained");
    assert_eq!(files(directory.path()), 2);
    assert!(store.get(&first).is_none());
    assert!(store.get(&second).is_some());
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let directory = tempfile::tempdir().expect("a folder");
    let shared = directory.path().join("shared");
    fs::create_dir(&shared).expect("made");
    fs::set_permissions(&shared, Permissions::from_mode(0o777)).expect("set");
    let refused = Store::open(&shared, 1000).expect_err("refused").to_string();
    assert!(refused.contains("others can write it (mode 777)"), "{refused}");
}

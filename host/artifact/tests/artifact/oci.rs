//! Against a real registry: layouts, pins, moving tags, restarts.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use weir_artifact::{AllowList, ComponentNames, Digest, Schedule, State, follow};
use weir_harness::Registry;

use crate::support::*;

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

#[tokio::test]
async fn what_is_pushed_comes_back_by_tag_and_by_digest() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path());
    let (fetcher, name) = (fetcher(), registry.name());
    let mut request = push(format!("{name}/team/geo:1.0"), &wasm("geo"));
    request.annotations.insert("org.example.a".into(), "b".into());
    request.component = Some(ComponentNames {
        imports: vec!["weir:policy/exchange@0.1.0".into()],
        exports: vec!["weir:policy/filter@0.1.0".into()],
    });
    let pushed = fetcher.push(&request).await.expect("pushed");
    assert_eq!(pushed.digest, Digest::of(&wasm("geo")));
    assert_eq!(pushed.resolved, format!("{name}/team/geo@{}", pushed.manifest));

    for reference in [format!("{name}/team/geo:1.0"), pushed.resolved.clone()] {
        let artifact = fetcher.fetch(&oci(&reference)).await.expect("fetched");
        assert_eq!(artifact.bytes, wasm("geo"), "{reference}");
        assert_eq!(artifact.digest, pushed.digest);
        assert_eq!(artifact.resolved, pushed.resolved);
    }
    let again = fetcher.push(&request).await.expect("pushed again");
    assert_eq!(again, pushed, "the same plugin has the same digest");
}

#[tokio::test]
async fn a_pin_is_the_manifests_digest_or_the_wasms() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path());
    let fetcher = fetcher();
    let reference = format!("{}/geo:1", registry.name());
    let pushed = fetcher
        .push(&push(&reference, &wasm("geo")))
        .await
        .expect("pushed");
    let mut request = oci(&reference);
    for digest in [pushed.manifest, pushed.digest] {
        request.digest = Some(digest);
        fetcher.fetch(&request).await.expect("the pin fits");
    }
    request.digest = Some(Digest::of(b"other"));
    let error = check_refused(&fetcher, &request, "has digest").await;
    assert!(!error.is_transient());
    fetcher
        .push(&push(&reference, &wasm("other")))
        .await
        .expect("pushed");
    request.digest = Some(pushed.manifest);
    check_refused(&fetcher, &request, "has digest").await;
}

#[tokio::test]
async fn images_of_other_tools_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path());
    let (fetcher, name) = (fetcher(), registry.name());
    let wasm = wasm("geo");
    let plugin = gzip(&tar(&[("plugin.wasm", &wasm)]));
    let named = gzip(&tar(&[("etc/x", b"x"), ("geo.wasm", &wasm)]));
    let base = gzip(&tar(&[("bin/sh", b"x")]));
    put_image(&registry, "compat", "1", MANIFEST, &[(OCI_LAYER, &plugin)]);
    put_image(
        &registry,
        "docker",
        "1",
        DOCKER,
        &[(DOCKER_LAYER, &base), (DOCKER_LAYER, &named)],
    );
    put_image(
        &registry,
        "content",
        "1",
        MANIFEST,
        &[("application/vnd.wasm.content.layer.v1+wasm", &wasm)],
    );
    for repository in ["compat", "docker", "content"] {
        let artifact = fetcher
            .fetch(&oci(format!("{name}/{repository}:1")))
            .await
            .unwrap_or_else(|error| panic!("{repository}: {error}"));
        assert_eq!(artifact.bytes, wasm, "{repository}");
    }
    let mut pinned = oci(format!("{name}/compat:1"));
    pinned.digest = Some(Digest::of(&wasm));
    fetcher
        .fetch(&pinned)
        .await
        .expect("the pin is the unpacked Wasm's");
}

#[tokio::test]
async fn images_without_a_plugin_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path());
    let (fetcher, name) = (fetcher(), registry.name());
    let empty = gzip(&tar(&[("readme", b"x")]));
    put_image(&registry, "empty", "1", MANIFEST, &[(OCI_LAYER, &empty)]);
    let zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
    put_image(&registry, "zstd", "1", MANIFEST, &[(zstd, b"x")]);
    put_image(
        &registry,
        "text",
        "1",
        MANIFEST,
        &[("application/wasm", b"(module)")],
    );
    let bomb = gzip(&tar(&[("plugin.wasm", &vec![0; 3 << 20])]));
    put_image(&registry, "bomb", "1", MANIFEST, &[(OCI_LAYER, &bomb)]);
    let outside = gzip(&{
        let mut archive = tar(&[("aa/plugin.wasm", &wasm("x"))]);
        // The library that writes archives refuses such a name, so it is put in afterwards.
        archive[..2].copy_from_slice(b"..");
        let sum: u32 = archive[..148]
            .iter()
            .chain(&archive[156..512])
            .map(|byte| u32::from(*byte))
            .sum::<u32>()
            + 256;
        archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive
    });
    put_image(&registry, "outside", "1", MANIFEST, &[(OCI_LAYER, &outside)]);
    for (repository, words) in [
        ("empty", "no plugin.wasm"),
        ("zstd", "zstd is not read"),
        ("text", "not Wasm"),
        ("bomb", "the limit is 1048576"),
        ("outside", "leads outside: `../plugin.wasm`"),
    ] {
        let error = check_refused(&fetcher, &oci(format!("{name}/{repository}:1")), words).await;
        assert!(!error.is_transient(), "{repository}");
    }
    check_refused(
        &fetcher,
        &oci(format!("{name}/absent:1")),
        "404: there is no such artifact",
    )
    .await;
}

#[tokio::test]
async fn an_index_leads_to_the_manifest_for_wasm() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path());
    let wasm = wasm("geo");
    let native = put_image(
        &registry,
        "geo",
        "native",
        MANIFEST,
        &[(OCI_LAYER, &gzip(&tar(&[])))],
    );
    let ours = put_image(&registry, "geo", "wasm", MANIFEST, &[("application/wasm", &wasm)]);
    let entry = |manifest: &[u8], os: &str, architecture: &str| {
        let mut entry = descriptor(MANIFEST, manifest);
        entry["platform"] = json!({"os": os, "architecture": architecture});
        entry
    };
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        entry(&native, "linux", "amd64"), entry(&ours, "wasip2", "wasm"),
    ]});
    let index = index.to_string();
    registry.put_manifest("geo", "all", INDEX, index.as_bytes());
    let reference = format!("{}/geo:all", registry.name());
    let artifact = fetcher().fetch(&oci(&reference)).await.expect("fetched");
    assert_eq!(artifact.bytes, wasm);
    assert!(
        artifact.resolved.ends_with(&digest(index.as_bytes())),
        "{}",
        artifact.resolved
    );
}

#[tokio::test]
async fn a_restart_serves_the_last_good_one_while_the_registry_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut registry = Registry::start(folder.path());
    let request = oci(format!("{}/geo:1", registry.name()));
    let Ok(first) = ({
        let fetcher = storing(folder.path());
        let reference = request.source.to_string();
        fetcher
            .push(&push(&reference, &wasm("geo")))
            .await
            .expect("pushed");
        fetcher.fetch(&request).await
    }) else {
        panic!("not fetched");
    };
    registry.stop();

    let fetcher = Arc::new(storing(folder.path()));
    let error = check_refused(&fetcher, &request, "cannot reach").await;
    assert!(error.is_transient());
    assert_eq!(fetcher.stored(&request).await, Some(first.clone()));
    let mut foreign = request.clone();
    foreign.owner = "others".into();
    assert_eq!(fetcher.stored(&foreign).await, None);

    let (states, mut receiver) = watch::channel(State::new());
    let following = tokio::spawn(follow(fetcher, request, Schedule::default(), states));
    receiver
        .wait_for(|state| matches!(state, State::Stale { artifact, .. } if *artifact == first))
        .await
        .expect("the last good one is served");
    drop(receiver);
    following.await.expect("nobody listens any more, so it ends");
}

#[tokio::test]
async fn a_pinned_artifact_needs_no_network_the_second_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut registry = Registry::start(folder.path());
    let fetcher = Arc::new(storing(folder.path()));
    let reference = format!("{}/geo:1", registry.name());
    let pushed = fetcher
        .push(&push(&reference, &wasm("geo")))
        .await
        .expect("pushed");
    let request = oci(pushed.resolved);
    let mut by_tag = oci(&reference);
    by_tag.digest = Some(pushed.digest);
    let unpinned = oci(&reference);
    for request in [&request, &by_tag, &unpinned] {
        fetcher.fetch(request).await.expect("fetched");
    }
    registry.stop();
    fetcher.fetch(&request).await.expect("from the store");
    fetcher.fetch(&by_tag).await.expect("from the store");
    check_refused(&fetcher, &unpinned, "cannot reach").await;
    let (states, receiver) = watch::channel(State::new());
    follow(fetcher, request, Schedule::default(), states).await;
    assert!(matches!(&*receiver.borrow(), State::Ready { .. }));
}

#[tokio::test]
async fn a_moved_tag_is_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path());
    let fetcher = Arc::new(storing(folder.path()));
    let reference = format!("{}/geo:latest", registry.name());
    let first = fetcher
        .push(&push(&reference, &wasm("one")))
        .await
        .expect("pushed");
    let request = oci(&reference);
    assert_eq!(fetcher.resolve(&request).await.expect("resolved"), first.resolved);
    let schedule = Schedule {
        interval: Some(Duration::from_millis(50)),
        ..Schedule::default()
    };
    let (states, mut receiver) = watch::channel(State::new());
    let following = tokio::spawn(follow(Arc::clone(&fetcher), request.clone(), schedule, states));
    let is = |digest: Digest| {
        move |state: &State| state.artifact().is_some_and(|artifact| artifact.digest == digest)
    };
    receiver.wait_for(is(first.digest)).await.expect("the first");
    let second = fetcher
        .push(&push(&reference, &wasm("two")))
        .await
        .expect("pushed");
    receiver.wait_for(is(second.digest)).await.expect("the second");
    assert_eq!(
        fetcher.resolve(&request).await.expect("resolved"),
        second.resolved
    );
    drop(receiver);
    following.await.expect("ended");
}

#[tokio::test]
async fn only_registries_of_the_list_are_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::start(folder.path());
    let name = registry.name();
    let open = storing(folder.path());
    for repository in ["team/geo", "other/geo"] {
        let reference = format!("{name}/{repository}:1");
        open.push(&push(&reference, &wasm("geo"))).await.expect("pushed");
        open.fetch(&oci(&reference)).await.expect("fetched");
    }
    let strict = fetcher_with(|options| {
        options.allow = AllowList::new([format!("{name}/team")]).expect("an entry");
        options.store = Some(folder.path().join("store"));
    });
    strict
        .fetch(&oci(format!("{name}/team/geo:1")))
        .await
        .expect("allowed");
    let other = oci(format!("{name}/other/geo:1"));
    check_refused(&strict, &other, "is not allowed").await;
    assert_eq!(
        strict.stored(&other).await,
        None,
        "the store is no way around the list"
    );
    check_refused(
        &strict,
        &http(format!("http://{name}/other/geo.wasm")),
        "is not allowed",
    )
    .await;
}

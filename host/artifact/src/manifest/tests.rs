//! Which layer of which manifest is taken, and what is refused.

use serde_json::{Value, json};

use super::*;

fn digest(of: &str) -> String {
    Digest::of(of.as_bytes()).to_string()
}

fn layer(media_type: &str, name: &str) -> Value {
    json!({"mediaType": media_type, "digest": digest(name), "size": 7})
}

fn image(layers: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": layer(WASM_CONFIG, "config"), "layers": layers})
}

fn parse(manifest: &Value) -> Result<Manifest, ManifestError> {
    Manifest::parse(manifest.to_string().as_bytes(), None)
}

fn layout(manifest: &Value) -> Result<Layout, ManifestError> {
    match parse(manifest)? {
        Manifest::Image(image) => image.layout(),
        Manifest::Index(_) => panic!("an index"),
    }
}

fn check_layout(layers: &[Value], name: &str, archive: Option<Compression>) {
    let found = layout(&image(layers)).expect("a layout");
    let (descriptor, compression) = match found {
        Layout::Raw(descriptor) => (descriptor, None),
        Layout::Archive(descriptor, compression) => (descriptor, Some(compression)),
    };
    assert_eq!(descriptor.digest.to_string(), digest(name), "{layers:?}");
    assert_eq!(compression, archive, "{layers:?}");
}

fn check_refused(manifest: &Value, words: &str) {
    let refused = layout(manifest).expect_err("refused").to_string();
    assert!(refused.contains(words), "{refused} lacks {words}");
}

fn check_chosen(entries: &[(&str, Option<(&str, &str)>)], expect: Result<&str, &str>) {
    let entries: Vec<_> = entries
        .iter()
        .map(|(name, platform)| {
            let mut entry = layer(OCI_MANIFEST, name);
            if let Some((os, architecture)) = platform {
                entry["platform"] = json!({"os": os, "architecture": architecture});
            }
            entry
        })
        .collect();
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
    let Ok(Manifest::Index(index)) = parse(&manifest) else {
        panic!("not an index");
    };
    match (index.choose(), expect) {
        (Ok(chosen), Ok(name)) => assert_eq!(chosen.digest.to_string(), digest(name)),
        (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
        (found, expect) => panic!("{found:?}, not {expect:?}"),
    }
}

#[test]
fn a_wasm_layer_is_the_plugin_wherever_it_stands() {
    check_layout(&[layer("application/wasm", "a")], "a", None);
    check_layout(
        &[layer("application/vnd.wasm.content.layer.v1+wasm", "a")],
        "a",
        None,
    );
    check_layout(
        &[layer("text/markdown", "readme"), layer("application/wasm", "a")],
        "a",
        None,
    );
}

#[test]
fn without_a_wasm_layer_the_last_archive_counts() {
    let oci = "application/vnd.oci.image.layer.v1.tar+gzip";
    check_layout(&[layer(oci, "a")], "a", Some(Compression::Gzip));
    check_layout(
        &[
            layer("application/vnd.docker.image.rootfs.diff.tar.gzip", "base"),
            layer("application/vnd.docker.image.rootfs.diff.tar.gzip", "top"),
        ],
        "top",
        Some(Compression::Gzip),
    );
    check_layout(
        &[layer("application/vnd.oci.image.layer.v1.tar", "a")],
        "a",
        Some(Compression::None),
    );
}

#[test]
fn a_docker_manifest_may_leave_its_type_to_the_header() {
    let mut manifest = image(&[layer("application/wasm", "a")]);
    manifest.as_object_mut().expect("an object").remove("mediaType");
    let text = manifest.to_string();
    let content_type = format!("{DOCKER_MANIFEST}; charset=utf-8");
    assert!(Manifest::parse(text.as_bytes(), Some(&content_type)).is_ok());
    assert!(Manifest::parse(text.as_bytes(), Some("text/html")).is_err());
}

#[test]
fn other_artifacts_are_refused_with_what_they_are() {
    check_refused(&image(&[]), "no layers");
    check_refused(
        &image(&[layer("application/wasm", "a"), layer("application/wasm", "b")]),
        "2 Wasm layers",
    );
    check_refused(
        &image(&[layer("application/vnd.oci.image.layer.v1.tar+zstd", "a")]),
        "zstd is not read",
    );
    check_refused(
        &image(&[layer("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "a")]),
        "helm.chart",
    );
}

#[test]
fn a_manifest_that_means_two_things_or_nothing_is_refused() {
    let mut both = image(&[layer("application/wasm", "a")]);
    both["manifests"] = json!([]);
    check_refused(&both, "both an image and an index");
    let mut old = image(&[]);
    old["schemaVersion"] = json!(1);
    check_refused(&old, "schema version 1");
    let mut weak = image(&[layer("application/wasm", "a")]);
    weak["layers"][0]["digest"] = json!("md5:00");
    check_refused(&weak, "cannot be checked");
    let mut negative = image(&[layer("application/wasm", "a")]);
    negative["layers"][0]["size"] = json!(-1);
    check_refused(&negative, "not valid");
    assert!(Manifest::parse(b"<html>", None).is_err());
    assert!(Manifest::parse(b"", None).is_err());
    assert!(Manifest::parse("[".repeat(100_000).as_bytes(), None).is_err());
}

#[test]
fn of_an_index_the_wasm_platform_or_the_only_manifest_is_taken() {
    check_chosen(&[("a", None)], Ok("a"));
    check_chosen(&[("a", Some(("linux", "amd64")))], Ok("a"));
    check_chosen(
        &[("a", Some(("linux", "amd64"))), ("b", Some(("wasip2", "wasm")))],
        Ok("b"),
    );
    check_chosen(&[], Err("no manifest"));
    check_chosen(
        &[("a", Some(("linux", "amd64"))), ("b", Some(("linux", "arm64")))],
        Err("linux/amd64, linux/arm64"),
    );
    check_chosen(
        &[("a", Some(("wasip1", "wasm"))), ("b", Some(("wasip2", "wasm")))],
        Err("several manifests"),
    );
}

#[test]
fn build_attestations_in_an_index_do_not_count() {
    let mut attestation = layer(OCI_MANIFEST, "attestation");
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let manifest = json!({"schemaVersion": 2, "manifests": [layer(OCI_MANIFEST, "a"), attestation]});
    let Ok(Manifest::Index(index)) = parse(&manifest) else {
        panic!("not an index");
    };
    assert_eq!(index.choose().expect("one").digest.to_string(), digest("a"));
}

//! Compiled plugins on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use weir_runtime::{EngineConfig, Runtime, RuntimeConfig, RuntimeError};

use crate::harness::{Calls as _, config, exchange, filter, load};

fn open(directory: &Path) -> Result<Runtime, RuntimeError> {
    Runtime::new(RuntimeConfig {
        cache_dir: Some(directory.to_owned()),
        ..config(EngineConfig::small())
    })
}

/// The files with this extension, in every flavour.
fn entries(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let flavours = fs::read_dir(directory).unwrap().map(|it| it.unwrap().path());
    let files = flavours
        .flat_map(|it| fs::read_dir(it).unwrap())
        .map(|it| it.unwrap().path());
    files
        .filter(|it| it.extension().is_some_and(|it| it == extension))
        .collect()
}

/// The fields that a plugin adds to a request.
fn fields(runtime: &Runtime, name: &str) -> Vec<String> {
    let mut exchange = exchange(&[]);
    filter(&load(runtime, name), "a")
        .on_request_head(&mut exchange)
        .unwrap();
    exchange.request.headers.keys().map(ToString::to_string).collect()
}

#[test]
fn a_plugin_is_compiled_once() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("cache");
    assert_eq!(
        fields(&open(&directory).unwrap(), "headers"),
        ["host", "x-request-a"]
    );
    assert_eq!(
        fs::metadata(&directory).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let entry = entries(&directory, "cwasm").remove(0);
    let note = entries(&directory, "sha256").remove(0);

    // Another plugin's code in its place shows that the entry is what runs.
    let other = root.path().join("other");
    assert_eq!(
        fields(&open(&other).unwrap(), "config_echo"),
        ["host", "x-config"]
    );
    fs::copy(entries(&other, "cwasm").remove(0), entry).unwrap();
    fs::copy(entries(&other, "sha256").remove(0), note).unwrap();
    assert_eq!(
        fields(&open(&directory).unwrap(), "headers"),
        ["host", "x-config"]
    );
}

#[test]
fn a_damaged_entry_is_compiled_anew() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("cache");
    fields(&open(&directory).unwrap(), "headers");
    let entry = entries(&directory, "cwasm").remove(0);
    let good = fs::read(&entry).unwrap();
    let damages: [&[u8]; 3] = [b"", b"not code", &good[..good.len() / 2]];
    for damage in damages {
        fs::write(&entry, damage).unwrap();
        assert_eq!(
            fields(&open(&directory).unwrap(), "headers"),
            ["host", "x-request-a"]
        );
        assert_eq!(fs::read(&entry).unwrap().len(), good.len(), "it is repaired");
    }
}

#[test]
fn an_entry_without_its_note_does_not_count() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("cache");
    fields(&open(&directory).unwrap(), "headers");
    fs::remove_file(entries(&directory, "sha256").remove(0)).unwrap();
    assert_eq!(
        fields(&open(&directory).unwrap(), "headers"),
        ["host", "x-request-a"]
    );
    assert_eq!(entries(&directory, "sha256").len(), 1);
}

#[test]
fn a_directory_that_others_can_write_is_refused() {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let error = open(root.path()).unwrap_err();
    assert!(matches!(error, RuntimeError::UnsafeCache { .. }), "{error}");
    assert!(
        error.to_string().contains("can be written by others (mode 777)"),
        "{error}"
    );
}

#[test]
fn a_directory_that_cannot_be_made_is_told() {
    let error = open(Path::new("/dev/null/cache")).unwrap_err();
    assert!(
        error.to_string().starts_with("plugin cache /dev/null/cache: "),
        "{error}"
    );
}

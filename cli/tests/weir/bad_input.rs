//! Manifests and plugins that cannot work: a clear word for each, and nothing served.

use std::fs;
use std::path::Path;

use weir_harness::Origin;

use crate::harness::{Folder, component, free_port, gateway, output, policy, route};

/// What `weir validate` says of a folder with one manifest; its code must be 1.
fn complaints(manifests: &str) -> String {
    let folder = Folder::new(manifests);
    let (code, stdout, stderr) = output(&["validate", folder.path()]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    stdout + &stderr
}

fn origin() -> std::net::SocketAddr {
    std::net::SocketAddr::from(([127, 0, 0, 1], 9))
}

#[test]
fn every_mistake_of_every_object_is_told_with_file_object_field_and_fix() {
    let said = complaints(
        &(gateway(8080).replace("port: 8080", "port: eighty, prot: 1")
            + &route("a", "/", origin()).replace("parentRefs", "parentRef")),
    );
    for part in [
        "gateway.yaml:",
        "Gateway default/test",
        "port",
        "prot",
        "HTTPRoute default/a",
        "parentRef",
        "did you mean \"parentRefs\"",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn dangling_references_are_conditions() {
    let said = complaints(
        &(gateway(8080)
            + &route("a", "/", origin()).replace("kind: Backend, name: a", "kind: Backend, name: gone")),
    );
    assert!(
        said.contains("HTTPRoute default/a") && said.contains("BackendNotFound") && said.contains("gone"),
        "{said}"
    );
    let said = complaints(
        &(gateway(8080)
            + &route("a", "/", origin())
                .replace("parentRefs: [{name: test}]", "parentRefs: [{name: nobody}]")),
    );
    assert!(said.contains("nobody"), "{said}");
    let lost = policy("a", "{}", "").replace("plugin: {name: a}", "plugin: {name: lost}");
    let said = complaints(&(gateway(8080) + &route("a", "/", origin()) + &lost));
    assert!(
        said.contains("PluginPolicy default/a") && said.contains("lost"),
        "{said}"
    );
}

#[test]
fn two_listeners_with_one_name_or_one_hostname_conflict() {
    let twice = |second: &str| {
        gateway(8080).replace(
            "[{name: http, protocol: HTTP, port: 8080}]",
            &format!("[{{name: http, protocol: HTTP, port: 8080}}, {second}]"),
        )
    };
    let said = complaints(&twice("{name: other, protocol: HTTP, port: 8080}"));
    assert!(said.contains("Conflicted") && said.contains("other"), "{said}");
    let said = complaints(&twice("{name: http, protocol: HTTP, port: 8081}"));
    assert!(said.contains("http"), "{said}");
}

#[test]
fn files_that_are_no_manifests_are_told_apart() {
    let empty = tempfile::tempdir().unwrap();
    let (code, _, stderr) = output(&["run", empty.path().to_str().unwrap(), "--admin", &admin()]);
    assert!(code == Some(1) && stderr.contains("no manifests"), "{stderr}");
    let (code, _, stderr) = output(&["run", "/does/not/exist.yaml", "--admin", &admin()]);
    assert!(
        code == Some(1) && stderr.contains("/does/not/exist.yaml"),
        "{stderr}"
    );
    assert!(complaints("").contains("no objects"));
    assert!(complaints("a: [b").contains("gateway.yaml:1"));
    let huge = Folder::new("");
    fs::File::create(Path::new(huge.path()).join("gateway.yaml"))
        .unwrap()
        .set_len(9 << 20)
        .unwrap();
    let (code, stdout, stderr) = output(&["validate", huge.path()]);
    assert!(code == Some(1) && (stdout + &stderr).contains("larger than 8 MiB"));
}

#[test]
fn a_yaml_bomb_is_refused_before_it_unfolds() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        bomb += &format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(", "));
    }
    let said = complaints(&bomb);
    assert!(said.contains("gateway.yaml"), "{said}");
    let deep = format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(complaints(&deep).contains("gateway.yaml"));
}

#[test]
fn a_plugin_that_cannot_run_says_why_and_nothing_is_served() {
    let origin = Origin::echo("a");
    let core = b"\0asm\x01\0\0\0";
    let check = |bytes: &[u8], more: &str, expect: &[&str]| {
        let manifests =
            gateway(free_port()) + &route("p", "/", origin.address) + &policy("p", "request-head", "");
        let folder = Folder::new(&manifests.replace("p.wasm}}", &format!("p.wasm}}}}{more}")));
        folder.write("p.wasm", bytes);
        let (code, _, stderr) = output(&["run", folder.path(), "--admin", &admin(), "--wasm-pool", "small"]);
        assert_eq!(code, Some(1), "{stderr}");
        for part in expect.iter().chain(&["default/p"]) {
            assert!(stderr.contains(part), "{part}: {stderr}");
        }
    };
    let guest = |name: &str| fs::read(component("tests", name)).unwrap();
    check(b"", "", &["empty"]);
    check(b"hello", "", &["not Wasm"]);
    check(core, "", &["core Wasm module"]);
    check(&guest("imports_log"), "", &["capabilities", "log"]);
    check(&guest("imports_kv"), "", &["kv"]);
    check(&guest("new_wit"), "", &["weir:policy@0.2.0"]);
    check(&guest("refuses"), "", &["refuse"]);
    check(
        &guest("headers"),
        &format!(", digest: \"sha256:{}\"", "0".repeat(64)),
        &["digest"],
    );
    check(guest("trap").split_at(500).0, "", &[]);
}

#[test]
fn an_admin_address_in_use_or_open_to_others_is_an_error_with_a_way_out() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let folder = Folder::new(&gateway(free_port()));
    for address in [taken.local_addr().unwrap().to_string(), "0.0.0.0:0".to_owned()] {
        let (code, _, stderr) = output(&["run", folder.path(), "--admin", &address]);
        assert!(code == Some(1) && stderr.contains("--admin"), "{stderr}");
    }
    let (code, _, stderr) = output(&["status", "--admin", &admin()]);
    assert!(code == Some(1) && stderr.contains("is `weir run` up"), "{stderr}");
}

fn admin() -> String {
    format!("127.0.0.1:{}", free_port())
}

//! Commands that print.

use crate::harness::{Folder, gateway, output, policy, route};

fn folder() -> Folder {
    let origin = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    Folder::new(&(gateway(8080) + &route("a", "/a", origin) + &policy("a", "one", "stage: authn")))
}

#[test]
fn validate_says_so_when_everything_is_well() {
    let folder = folder();
    folder.plugin("a.wasm", "headers");
    let (code, stdout, stderr) = output(&["validate", folder.path()]);
    assert_eq!((code, stdout.as_str()), (Some(0), "valid\n"), "{stderr}");
}

#[test]
fn translate_prints_a_document_that_names_everything() {
    let folder = folder();
    let (code, stdout, _) = output(&["translate", folder.path()]);
    assert_eq!(code, Some(0));
    for part in [
        "version: weir.dev/v1",
        "gateway: default/test",
        "default/test/http",
        "Backend/default/a",
        "stage: authn",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
}

#[test]
fn chain_prints_the_origin_of_each_filter() {
    let folder = folder();
    let (code, stdout, _) = output(&["chain", folder.path()]);
    assert_eq!(code, Some(0));
    assert!(
        stdout.contains("listener default/test/http\n  no filters"),
        "{stdout}"
    );
    let line = stdout
        .lines()
        .find(|line| line.contains("PluginPolicy/default/a"))
        .unwrap();
    for part in [
        "1",
        "default/a",
        "authn/during",
        "closed",
        "PluginPolicy default/a",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let (code, stdout, _) = output(&["chain", folder.path(), "-o", "json"]);
    assert!(
        code == Some(0) && stdout.trim_start().starts_with('['),
        "{stdout}"
    );
}

#[test]
fn help_is_enough_to_start() {
    let (code, stdout, _) = output(&["--help"]);
    assert_eq!(code, Some(0));
    for part in [
        "weir run examples/quickstart",
        "validate",
        "translate",
        "chain",
        "status",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
}

#[test]
fn validate_loads_plugins_and_gives_them_their_configuration() {
    let folder = folder();
    let check = |expect: &str| {
        let (code, stdout, _) = output(&["validate", folder.path()]);
        assert_eq!(code, Some(1));
        assert!(
            stdout.contains(expect) && stdout.contains("gateway.yaml:"),
            "{expect}: {stdout}"
        );
    };
    check("cannot use");
    folder.write("a.wasm", b"junk");
    check("not Wasm");
    folder.plugin("a.wasm", "refuses");
    check("filter PluginPolicy/default/a");
}

//! What plugins can be and reach, from manifests to sockets: callouts, background work, handlers, connection filters,
//! registries, shadows, and failures of one that leave its neighbours alone.

use std::net::SocketAddr;

use weir_harness::{Origin, Registry, eventually};

use crate::harness::{Folder, Weir, component, free_port, gateway, output, policy, route};

/// A Plugin from `<name>.wasm` with more in its spec.
fn plugin(name: &str, more: &str) -> String {
    format!(
        "---
apiVersion: weir.dev/v1alpha1
kind: Plugin
metadata: {{name: {name}}}
spec:
  source: {{file: {{path: {name}.wasm}}}}
  limits: {{deadline: 10s}}
{more}
"
    )
}

/// A policy of that plugin on a Gateway or route.
fn attached(name: &str, kind: &str, target: &str, config: &str, more: &str) -> String {
    format!(
        "---
apiVersion: weir.dev/v1alpha1
kind: PluginPolicy
metadata: {{name: {name}}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: {kind}, name: {target}}}]
  plugin: {{name: {name}}}
  config: {config}
{more}
"
    )
}

fn backend(name: &str, origin: SocketAddr) -> String {
    format!(
        "---
apiVersion: gateway.kgateway.dev/v1alpha1
kind: Backend
metadata: {{name: {name}}}
spec: {{static: {{hosts: [{{host: 127.0.0.1, port: {}}}]}}}}
",
        origin.port()
    )
}

const GRANT: &str = "  capabilities: [upstream, kv]
  backends: [{name: auth, backendRef: {group: gateway.kgateway.dev, kind: Backend, name: auth}}]";

#[test]
fn a_policy_asks_a_granted_backend_and_no_other() {
    let (origin, auth) = (Origin::echo("origin"), Origin::echo("auth"));
    let port = free_port();
    let manifests = gateway(port)
        + &route("p", "/", origin.address)
        + &backend("auth", auth.address)
        + &plugin("p", GRANT)
        + &attached(
            "p",
            "HTTPRoute",
            "p",
            "at=response-head backend=auth path=/check",
            "",
        );
    let folder = Folder::new(&manifests);
    folder.plugin("p.wasm", "fetch");
    let weir = Weir::start(&folder, port);
    let answer = weir.client().get("/", "");
    assert_eq!(answer.header("x-fetch-status"), Some("200"), "{}", weir.stderr());
    assert!(auth.seen.last().text().is_empty());
    let answer = weir.client().get("/", "x-fetch: backend=other\r\n");
    assert_eq!(answer.header("x-fetch-status"), Some("not-granted"));
}

#[test]
fn background_work_fetches_what_the_filter_checks_before_it_goes_live() {
    let origin = Origin::echo("origin");
    let keys = Origin::start(|_, stream| {
        use std::io::Write;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsesame")?;
        Ok(true)
    });
    let port = free_port();
    let manifests = gateway(port)
        + &route("p", "/", origin.address)
        + &backend("auth", keys.address)
        + &plugin("p", GRANT)
        + &attached("p", "HTTPRoute", "p", "backend=auth every=50", "");
    let folder = Folder::new(&manifests);
    folder.plugin("p.wasm", "keys");
    let weir = Weir::start(&folder, port);
    assert_eq!(
        weir.client().get("/", "x-key: sesame\r\n").status(),
        200,
        "{}",
        weir.stderr()
    );
    assert_eq!(weir.client().get("/", "x-key: simsim\r\n").status(), 401);
}

#[test]
fn a_wasi_http_component_answers_as_a_backend() {
    let port = free_port();
    let manifests = gateway(port)
        + &plugin("hello", "")
        + "---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: hello}
spec:
  parentRefs: [{name: test}]
  rules: [{backendRefs: [{group: weir.dev, kind: Plugin, name: hello}]}]
";
    let folder = Folder::new(&manifests);
    folder.plugin("hello.wasm", "wasi_hello");
    let weir = Weir::start(&folder, port);
    let answer = weir.client().post("/some/path", "", "ping");
    assert_eq!(answer.status(), 200, "{}", weir.stderr());
    assert!(answer.text().contains("ping"), "{}", answer.text());
}

#[test]
fn a_connection_filter_closes_connections_before_they_are_read() {
    let origin = Origin::echo("origin");
    let port = free_port();
    let manifests = |allow: &str| {
        gateway(port)
            + &route("p", "/", origin.address)
            + &plugin("allow", "")
            + &attached("allow", "Gateway", "test", &format!("allow={allow}"), "")
    };
    let folder = Folder::new(&manifests("127.0.0.1"));
    folder.plugin("allow.wasm", "l4_allow");
    let weir = Weir::start(&folder, port);
    assert_eq!(weir.client().get("/", "").status(), 200, "{}", weir.stderr());
    folder.write("gateway.yaml", manifests("192.0.2.1"));
    eventually("new connections are closed", || {
        let mut client = weir.client();
        client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").ok();
        client.read(false).is_err().then_some(())
    });
}

#[test]
fn a_neighbour_that_fails_open_does_not_open_the_one_beside_it() {
    let origin = Origin::echo("origin");
    let port = free_port();
    let manifests = gateway(port)
        + &route("p", "/", origin.address)
        + &plugin("trap", "")
        + &attached("trap", "HTTPRoute", "p", "request-head", "  failureMode: Open")
        + &plugin("auth", "")
        + &attached("auth", "HTTPRoute", "p", "letmein", "");
    let folder = Folder::new(&manifests);
    folder.plugin("trap.wasm", "trap");
    folder.plugin("auth.wasm", "auth");
    let weir = Weir::start(&folder, port);
    assert_eq!(weir.client().get("/", "").status(), 403, "{}", weir.stderr());
}

#[test]
fn a_plugin_comes_from_a_registry_when_it_is_there_and_again_when_its_tag_moves() {
    let origin = Origin::echo("origin");
    let storage = tempfile::tempdir().unwrap();
    let registry = Registry::start(storage.path());
    let reference = format!("{}/team/p:1", registry.name());
    let push = |guest: &str| {
        let file = component("tests", guest);
        let pushed = output(&[
            "plugin",
            "push",
            file.to_str().unwrap(),
            &reference,
            "--plain-http",
        ]);
        assert_eq!(pushed.0, Some(0), "{}", pushed.2);
    };
    let port = free_port();
    let source = format!("{{oci: {{reference: \"{reference}\", plainHttp: true, poll: 1s}}}}");
    let manifests = gateway(port) + &route("p", "/", origin.address) + &policy("p", "request-head", "");
    let manifests = manifests.replace("{file: {path: p.wasm}}", &source).replace(
        "metadata: {name: test}",
        "metadata: {name: test, annotations: {weir.dev/detail-header: \"true\"}}",
    );
    let folder = Folder::new(&manifests);
    let weir = Weir::start(&folder, port);
    let answer = weir.client().get("/", "");
    assert_eq!(answer.status(), 503, "{}", weir.stderr());
    assert!(
        answer
            .header("x-weir-reason")
            .unwrap()
            .starts_with("filter_missing")
    );
    push("headers");
    eventually_slowly("the plugin", || {
        weir.client()
            .get("/", "")
            .header("x-response-request-head")
            .is_some()
    });
    push("replier");
    eventually_slowly("the moved tag", || weir.client().get("/", "").status() == 418);
    drop(registry);
    assert_eq!(
        weir.client().get("/", "").status(),
        418,
        "the last good one stays"
    );
}

#[test]
fn a_shadow_is_compared_and_has_no_effect() {
    let origin = Origin::echo("origin");
    let port = free_port();
    let manifests = gateway(port)
        + &route("p", "/", origin.address)
        + &plugin("p", "  rollout: {strategy: Shadow}")
        + &attached("p", "HTTPRoute", "p", "request-head", "");
    let folder = Folder::new(&manifests);
    folder.plugin("p.wasm", "headers");
    let weir = Weir::start(&folder, port);
    assert_eq!(weir.client().get("/", "").status(), 200, "{}", weir.stderr());
    folder.plugin("p.wasm", "replier");
    eventually_slowly("the comparison", || {
        assert_eq!(weir.client().get("/", "").status(), 200, "the live one decides");
        let status = weir.status();
        status.contains("Shadowed") && !status.contains("0 different")
    });
    folder.write("gateway.yaml", manifests.replace("Shadow}", "Replace}"));
    eventually_slowly("the promotion", || weir.client().get("/", "").status() == 418);
}

/// For what needs a fetch and a compilation in a test build on a busy machine.
fn eventually_slowly(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..12 {
        let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(what, || holds().then_some(()));
        }));
        if held.is_ok() {
            return;
        }
    }
    panic!("{what} never came");
}

//! What plugins and their uses become, and what is refused of them.

use std::time::Duration;

use super::*;

const DIGEST: &str = "sha256:abababababababababababababababababababababababababababababababab";

/// Lowers a document of one plugin, one use of it and one cluster `a`.
fn lowered(plugin: &str, filter: &str) -> Result<model::Snapshot, Vec<String>> {
    let yaml = format!(
        "{{version: weir.dev/v1, gateway: d/g, clusters: [{{name: a}}],
        plugins: [{{name: p, {plugin}}}],
        filters: [{{name: f, plugin: p, stage: accepted, {filter}}}]}}"
    );
    let document: Document = serde_saphyr::from_str(&yaml).unwrap();
    lower(&document).map_err(|found| found.iter().map(ToString::to_string).collect())
}

fn plugin(text: &str) -> Result<model::Plugin, Vec<String>> {
    lowered(text, "").map(|mut it| it.plugins.remove(0))
}

fn filter(text: &str) -> Result<model::ChainFilter, Vec<String>> {
    let granted =
        "source: {file: /p.wasm}, capabilities: [kv], isolation: fresh, backends: [{name: b, cluster: a}],
        limits: {callouts: 4, timeoutMillis: 2000}";
    lowered(granted, text).map(|mut it| it.filters.remove(0))
}

fn refused<T: std::fmt::Debug>(result: Result<T, Vec<String>>, expect: &[&str]) {
    let found = result.unwrap_err();
    assert_eq!(found.len(), expect.len(), "{found:#?}");
    for (found, expect) in found.iter().zip(expect) {
        assert!(found.contains(expect), "{found}");
    }
}

#[test]
fn a_plugin_that_says_little_takes_the_defaults() {
    let plugin = plugin("source: {oci: {reference: 'ghcr.io/a/p:v1'}}").unwrap();
    assert_eq!(plugin.limits, model::Limits::DEFAULT);
    assert_eq!(plugin.recycle, model::Recycle::DEFAULT);
    assert_eq!(
        (plugin.isolation, plugin.rollout),
        (model::Isolation::Warm, model::Rollout::Replace)
    );
    let model::PluginSource::Oci(source) = plugin.source else {
        panic!("{:?}", plugin.source)
    };
    assert_eq!(source.poll, Some(Duration::from_secs(300)));
}

#[test]
fn everything_that_is_written_of_a_plugin_arrives() {
    let key = "-----BEGIN PUBLIC KEY-----MFkw-----END PUBLIC KEY-----";
    let plugin = plugin(&format!(
        "source: {{oci: {{reference: 'localhost:5000/a/p:v1', pollMillis: 1000, plainHttp: true,
            pullSecret: {{username: u, password: p}}}}}},
        publicKey: '{key}', isolation: fresh, rollout: shadow, digest: '{DIGEST}',
        recycle: {{calls: 5, ageMillis: 60000, memoryPercent: 50}},
        capabilities: [upstream, kv, metrics], backends: [{{name: x, cluster: a}}, {{name: gone}}],
        limits: {{memoryBytes: 1, tableElements: 2, deadlineMillis: 3, timeoutMillis: 4, bodyBytes: 5,
            instances: 6, callouts: 0, logLines: 8, kvBytes: 9}}"
    ))
    .unwrap();
    let granted = |name: &str, cluster: &str| model::GrantedBackend {
        name: name.to_owned(),
        cluster: cluster.to_owned(),
    };
    let expect = model::Plugin {
        name: "p".to_owned(),
        source: model::PluginSource::Oci(model::OciSource {
            reference: "localhost:5000/a/p:v1".to_owned(),
            poll: Some(Duration::from_secs(1)),
            pull_secret: Some(model::PullSecret {
                username: "u".to_owned(),
                password: "p".to_owned(),
            }),
            plain_http: true,
        }),
        digest: Some(DIGEST.to_owned()),
        signature: Some(model::Signature {
            public_key: key.to_owned(),
        }),
        capabilities: vec![
            model::Capability::Upstream,
            model::Capability::Kv,
            model::Capability::Metrics,
        ],
        limits: model::Limits {
            memory: 1,
            table_elements: 2,
            deadline: Duration::from_millis(3),
            timeout: Duration::from_millis(4),
            body: 5,
            instances: 6,
            callouts: 0,
            log_lines: 8,
            kv_bytes: 9,
        },
        isolation: model::Isolation::Fresh,
        rollout: model::Rollout::Shadow,
        recycle: model::Recycle {
            calls: 5,
            age: Duration::from_secs(60),
            memory_percent: 50,
        },
        backends: vec![granted("x", "a"), granted("gone", "")],
    };
    assert_eq!(plugin, expect);
}

#[test]
fn a_source_that_anyone_could_exchange_is_refused_unless_pinned() {
    let http = |url: &str| format!("source: {{http: '{url}'}}");
    refused(
        plugin(&http("http://example.com/p.wasm")),
        &["source.http: without TLS"],
    );
    let pinned = format!("{}, digest: '{DIGEST}'", http("http://example.com/p.wasm"));
    assert!(plugin(&pinned).is_ok());
    assert!(plugin(&http("http://127.0.0.1:8000/p.wasm")).is_ok());
    assert!(plugin(&http("https://example.com/p.wasm")).is_ok());
    let oci = |reference: &str| format!("source: {{oci: {{reference: '{reference}', plainHttp: true}}}}");
    refused(
        plugin(&oci("r.example/p:v1")),
        &["source.oci.plainHttp: without TLS"],
    );
    assert!(plugin(&oci(&format!("r.example/p@{DIGEST}"))).is_ok());
    assert!(plugin(&oci("localhost:5000/p:v1")).is_ok());
    let secret = "source: {oci: {reference: 'r.example/p:v1', plainHttp: true,
        pullSecret: {username: u, password: hunter2}}}";
    refused(
        plugin(secret),
        &["plainHttp", "pullSecret: the password would be readable"],
    );
}

#[test]
fn what_makes_no_sense_of_a_plugin_is_refused_by_field() {
    refused(
        plugin(&format!(
            "source: {{oci: {{reference: 'r.example/p@{DIGEST}', pollMillis: 5000}}}}"
        )),
        &["plugins[0].source.oci.pollMillis: a digest never changes"],
    );
    refused(
        plugin("source: {oci: {reference: 'r.example/p:v1', pollMillis: 10}}"),
        &["plugins[0].source.oci.pollMillis: a tag is resolved at most every second"],
    );
    refused(
        plugin(
            "source: {file: /p}, publicKey: secret, recycle: {calls: 0, ageMillis: 1, memoryPercent: 101}",
        ),
        &[
            "publicKey: this is not",
            "recycle.calls",
            "recycle.ageMillis",
            "recycle.memoryPercent",
        ],
    );
    let key = "-----BEGIN PUBLIC KEY-----MFkw-----END PUBLIC KEY-----";
    refused(
        plugin(&format!("source: {{builtin: x}}, publicKey: '{key}'")),
        &["publicKey: a built-in"],
    );
    refused(
        plugin("source: {file: /p}, backends: [{name: x}, {name: x, cluster: b}]"),
        &[
            "plugins[0].backends[1].name: \"x\"",
            "plugins[0].backends[1].cluster: nothing",
        ],
    );
}

#[test]
fn a_use_narrows_its_plugin() {
    let own = filter("limits: {callouts: 9, timeoutMillis: 1000}, backends: [{name: b}]").unwrap();
    assert_eq!(
        (own.limits.callouts, own.limits.timeout),
        (4, Duration::from_secs(1))
    );
    assert_eq!(own.isolation, model::Isolation::Fresh);
    assert_eq!(own.backends[0].cluster, "");
    let inherited = filter("").unwrap();
    assert_eq!(inherited.backends[0].cluster, "a");
    refused(
        filter("isolation: warm"),
        &["filters[0].isolation: plugin \"p\" is fresh"],
    );
    refused(
        filter("limits: {kvBytes: 1}"),
        &["filters[0].limits.kvBytes: all uses"],
    );
    refused(filter("capabilities: [upstream]"), &["upstream is not granted"]);
    refused(
        filter("backends: [{name: c, cluster: a}]"),
        &["backend \"c\" is not granted"],
    );
}

#[test]
fn a_share_goes_to_a_cluster_or_a_handler_or_nowhere() {
    let targets = |backends: &str| {
        let yaml = format!(
            "{{version: weir.dev/v1, gateway: d/g, clusters: [{{name: a}}],
            plugins: [{{name: p, source: {{file: /p.wasm}}}}],
            filters: [{{name: f, plugin: p, stage: route}}],
            routes: [{{name: r, backends: [{backends}]}}]}}"
        );
        let document: Document = serde_saphyr::from_str(&yaml).unwrap();
        let snapshot = lower(&document).map_err(|found| found.iter().map(ToString::to_string).collect());
        snapshot.map(|it| {
            it.routes[0]
                .backends
                .iter()
                .map(|it| it.target)
                .collect::<Vec<_>>()
        })
    };
    let found = targets("{cluster: a, weight: 1}, {handler: f, weight: 1}, {weight: 1}");
    let expect = vec![
        model::BackendTarget::Cluster(model::ClusterIndex(0)),
        model::BackendTarget::Plugin(model::FilterIndex(0)),
        model::BackendTarget::Unresolved,
    ];
    assert_eq!(found, Ok(expect));
    refused(
        targets("{cluster: a, handler: f, weight: 1}"),
        &["routes[0].backends[0]: cluster and handler"],
    );
    refused(
        targets("{handler: a, weight: 1}"),
        &["routes[0].backends[0].handler: nothing"],
    );
}

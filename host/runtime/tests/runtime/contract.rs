//! The host offers what the WIT package says, with the types it says.

use weir_model::{Capability, Plugin};

use crate::harness::{component, plugin, runtime};

/// A component that imports every function of the interface.
fn importing(interface: &str) -> Vec<u8> {
    let wit = format!(
        "package test:contract; world all {{ import weir:policy/{interface}@0.1.0; export weir:policy/filter@0.1.0; }}"
    );
    component(&wit, "all", None)
}

#[test]
fn every_function_of_an_offered_interface_is_linked() {
    let grants = [
        "log",
        "clock",
        "random",
        "environment:A",
        "sink:/a",
        "upstream",
        "kv",
        "metrics",
    ]
    .map(|it| it.parse::<Capability>().unwrap());
    let runtime = runtime();
    for interface in [
        "request",
        "response",
        "request-trailers",
        "response-trailers",
        "exchange",
        "log",
        "clock",
        "random",
        "environment",
        "sink",
        "upstream",
        "grpc",
        "kv",
        "metrics",
    ] {
        let plugin = Plugin {
            capabilities: grants.to_vec(),
            ..plugin(interface)
        };
        let loaded = runtime
            .load(&plugin, &importing(interface))
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(loaded.imports().any(|it| it == interface));
    }
}

#[test]
fn every_capability_must_be_granted() {
    for (interface, grant) in [
        ("log", "log"),
        ("clock", "clock"),
        ("random", "random"),
        ("upstream", "upstream"),
        ("grpc", "upstream"),
        ("kv", "kv"),
        ("metrics", "metrics"),
    ] {
        let bytes = importing(interface);
        let error = runtime().load(&plugin("p"), &bytes).unwrap_err().to_string();
        // The types of `grpc` come with an import of `upstream`, which has the same grant.
        let named = if interface == "grpc" {
            "upstream"
        } else {
            interface
        };
        assert_eq!(
            error,
            format!(
                "plugin test/p: the component imports {named:?}, which is not granted; add {grant:?} to its \
                 capabilities"
            )
        );
        let mut plugin = plugin("p");
        plugin.capabilities = vec![grant.parse().unwrap()];
        runtime().load(&plugin, &bytes).unwrap();
    }
}

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
    let grants =
        ["log", "clock", "random", "environment:A", "sink:/a"].map(|it| it.parse::<Capability>().unwrap());
    let runtime = runtime();
    for interface in [
        "request",
        "response",
        "exchange",
        "log",
        "clock",
        "random",
        "environment",
        "sink",
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
fn every_other_interface_is_refused_by_name() {
    for interface in ["upstream", "kv", "metrics"] {
        let error = runtime()
            .load(&plugin("p"), &importing(interface))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!(
                "it imports {interface:?}, which is specified but not offered"
            )),
            "{error}"
        );
    }
}

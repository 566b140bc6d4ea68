//! What the built-ins declare is what their components are.

use std::collections::BTreeSet;

use wit_component::DecodedWasm;

use super::*;

const ALWAYS_GRANTED: [&str; 4] = ["types", "request", "response", "exchange"];

fn imports(component: &[u8]) -> BTreeSet<String> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component).unwrap() else {
        panic!("not a component");
    };
    let names = resolve.worlds[world]
        .imports
        .keys()
        .map(|key| resolve.name_world_key(key));
    let interface = |name: String| {
        let path = name.strip_prefix("weir:policy/").unwrap_or(&name).to_owned();
        path.strip_suffix("@0.1.0").unwrap_or(&path).to_owned()
    };
    names
        .map(interface)
        .filter(|name| !ALWAYS_GRANTED.contains(&name.as_str()))
        .collect()
}

#[test]
fn a_built_in_imports_exactly_the_capabilities_it_declares() {
    for builtin in BUILTINS {
        let declared = builtin.capabilities.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(imports(builtin.component), declared, "{}", builtin.name);
    }
}

#[test]
fn a_manifest_says_what_the_gateway_knows() {
    for builtin in BUILTINS {
        let path = format!("{}/{}/plugin.toml", env!("CARGO_MANIFEST_DIR"), builtin.name);
        let manifest: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        let list = manifest["capabilities"].as_array().unwrap();
        let capabilities: BTreeSet<_> = list.iter().filter_map(toml::Value::as_str).collect();
        assert_eq!(manifest["name"].as_str(), Some(builtin.name));
        assert_eq!(
            capabilities,
            builtin.capabilities.iter().copied().collect(),
            "{}",
            builtin.name
        );
    }
}

#[test]
fn a_schema_is_json_and_refuses_unknown_fields() {
    for builtin in BUILTINS {
        let schema: serde_json::Value = serde_json::from_str(builtin.schema).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{}", builtin.name);
        assert_eq!(schema["title"], builtin.name);
    }
}

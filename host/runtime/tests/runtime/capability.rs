//! Host functions that need a grant.

use std::sync::Arc;

use weir_filter::FailureReason;
use weir_model::{Capability, ChainFilter, Plugin};
use weir_runtime::{EngineConfig, LoadError, Runtime, RuntimeConfig};

use crate::harness::{
    Calls as _, Memory, Opener, chain_filter, config, exchange, granted, guest, plugin, runtime, values,
};

fn all() -> Vec<Capability> {
    ["log", "clock", "random", "environment:ZONE", "sink:/dev/stdout"]
        .map(|it| it.parse().unwrap())
        .to_vec()
}

fn probe(runtime: &Runtime, variable: &str) -> impl Fn(&str) -> String {
    let filter = granted(runtime, "capability_probe", variable, &all()).unwrap();
    let mut exchange = exchange(&[]);
    filter.on_request_head(&mut exchange).unwrap();
    move |word| values(&exchange.request.headers, &format!("x-probe-{word}")).join(", ")
}

#[test]
fn granted_functions_work() {
    let sink = Arc::new(Memory::default());
    let sinks = Arc::new(Opener(Arc::clone(&sink)));
    let runtime = Runtime::new(RuntimeConfig {
        sinks,
        ..config(EngineConfig::small())
    })
    .unwrap();
    let answer = probe(&runtime, "ZONE");
    assert_eq!(answer("variable"), "b");
    assert!(answer("clock").parse::<u64>().unwrap() > 1_700_000_000);
    assert_eq!(answer("monotonic"), "true");
    assert_eq!(answer("random-bytes"), "16");
    assert_ne!(answer("random"), probe(&runtime, "ZONE")("random"));
    assert_eq!(answer("sink"), "Ok(())");
    assert_eq!(sink.records.lock().unwrap().first().unwrap(), b"probed\n");
}

#[test]
fn a_variable_that_is_not_granted_is_not_there() {
    assert_eq!(probe(&runtime(), "SECRET")("variable"), "(none)");
}

#[test]
fn a_sink_that_is_not_granted_is_unknown() {
    assert!(probe(&runtime(), "ZONE")("sink-ungranted").contains("name: \"unknown\""));
}

#[test]
fn an_import_without_a_grant_refuses_the_plugin() {
    for (name, import) in [("imports_log", "log"), ("imports_kv", "kv")] {
        let error = runtime().load(&plugin(name), &guest(name)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "plugin test/{name}: the component imports {import:?}, which is not granted; add {import:?} to its \
                 capabilities"
            )
        );
    }
}

#[test]
fn each_missing_grant_is_named() {
    for missing in all() {
        let rest: Vec<_> = all().into_iter().filter(|it| *it != missing).collect();
        let error = granted(&runtime(), "capability_probe", "", &rest).unwrap_err();
        let LoadError::NotGranted { interface, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(interface, missing.interface());
    }
}

#[test]
fn a_filter_with_fewer_grants_than_its_plugin_imports_is_refused() {
    let runtime = runtime();
    let plugin = Plugin {
        capabilities: vec![Capability::Log],
        ..plugin("imports_log")
    };
    let plugin = runtime.load(&plugin, &guest("imports_log")).unwrap();
    assert_eq!(plugin.imports().find(|it| *it == "log"), Some("log"));
    let error = plugin.filter(&chain_filter("quiet")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("filter filter(quiet): the component imports \"log\""),
        "{error}"
    );
}

#[test]
fn a_sink_that_does_not_open_refuses_the_filter() {
    let mut grants = all();
    grants.push("sink:/closed/access.log".parse().unwrap());
    let error = granted(&runtime(), "capability_probe", "", &grants).unwrap_err();
    assert_eq!(
        error.to_string(),
        "filter filter(): sink /closed/access.log: it is closed"
    );
}

#[test]
fn a_filter_that_may_have_no_instance_is_exhausted() {
    let plugin = runtime().load(&plugin("headers"), &guest("headers")).unwrap();
    let mut none = chain_filter("a");
    none.limits.instances = 0;
    let filter = plugin.filter(&ChainFilter { ..none }).unwrap();
    let error = filter.on_request_head(&mut exchange(&[])).unwrap_err();
    assert_eq!(error.reason, FailureReason::Exhausted);
}

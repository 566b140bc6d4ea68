//! The worlds of the contract: which components become filters, and what the others are told.

use std::sync::Arc;

use http::StatusCode;
use weir_filter::{Action, Chunk, Phase, Phases};
use weir_model::{Capability, ChainFilter, Plugin};
use weir_runtime::{EngineConfig, Runtime, RuntimeConfig};

use crate::harness::{
    Calls as _, Memory, Opener, chain_filter, component, config, exchange, granted, guest, plugin, runtime,
};

#[test]
fn an_access_log_sees_the_end_of_an_exchange_and_nothing_else() {
    let sink = Arc::new(Memory::default());
    let runtime = Runtime::new(RuntimeConfig {
        sinks: Arc::new(Opener(Arc::clone(&sink))),
        ..config(EngineConfig::small())
    })
    .unwrap();
    let grants = ["sink:/dev/stdout".parse::<Capability>().unwrap()];
    let filter = granted(&runtime, "access_logger", "shared=a:b", &grants).unwrap();
    assert_eq!(filter.phases(), Phases::LOG);
    let mut exchange = exchange(&[]);
    exchange.response.status = Some(StatusCode::IM_A_TEAPOT);
    exchange.set_shared("a", "b", "of-a-filter".into());
    let chunk = Chunk {
        bytes: "x".into(),
        end: true,
    };
    for phase in [
        Phase::RequestHead,
        Phase::RequestBody(chunk.clone()),
        Phase::RequestTrailers,
        Phase::ResponseHead,
        Phase::ResponseBody(chunk),
        Phase::ResponseTrailers,
    ] {
        assert_eq!(filter.run(phase, &mut exchange).unwrap(), Action::Next);
    }
    assert!(sink.records.lock().unwrap().is_empty());
    filter.on_log(&mut exchange).unwrap();
    let records = sink.records.lock().unwrap();
    let line: &[u8] = b"shared=of-a-filter status=418 reason=- path=/api/x?y=1 detail=-\n";
    assert_eq!(*records, [line]);
}

#[test]
fn an_access_log_can_refuse_its_configuration() {
    let grants = ["sink:/dev/stdout".parse::<Capability>().unwrap()];
    let error = granted(&runtime(), "access_logger", "nonsense", &grants).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the plugin refuses the configuration: unknown word"),
        "{error}"
    );
}

fn refusal(name: &str, bytes: &[u8]) -> String {
    let plugin = Plugin {
        capabilities: vec![Capability::Kv, Capability::Upstream],
        ..plugin(name)
    };
    runtime().load(&plugin, bytes).unwrap_err().to_string()
}

#[test]
fn a_plugin_of_another_world_is_no_filter_on_exchanges() {
    for (name, world) in [("l4_allow", "l4"), ("ticker", "background-task")] {
        let plugin = Plugin {
            capabilities: vec![Capability::Kv],
            ..plugin(name)
        };
        let filter = ChainFilter {
            capabilities: vec![Capability::Kv],
            ..chain_filter("")
        };
        let loaded = runtime().load(&plugin, &guest(name)).unwrap();
        assert_eq!(
            loaded.filter(&filter).unwrap_err().to_string(),
            format!(
                "filter filter(): its plugin test/{name} is of the world `weir:policy/{world}` and does not run on \
                 exchanges"
            )
        );
    }
}

#[test]
fn a_component_that_needs_wasi_is_told_what_to_do() {
    let wit = "package test:wasi;
        world wasi { import wasi:cli/environment@0.2.0; export weir:policy/filter@0.1.0; }
        package wasi:cli@0.2.0 { interface environment { initial-cwd: func() -> option<string>; } }";
    let refusal = refusal("needs-wasi", &component(wit, "wasi", None));
    assert!(
        refusal.starts_with("plugin test/needs-wasi: it imports \"wasi:")
            && refusal.contains("stub WASI out"),
        "{refusal}"
    );
}

#[test]
fn a_component_that_exports_nothing_of_ours_is_refused() {
    for wit in [
        "package test:none; world none { export run: func(); }",
        "package test:none; world none { }",
        "package test:none; interface other { run: func(); } world none { export other; }",
    ] {
        let refusal = refusal("none", &component(wit, "none", None));
        assert!(
            refusal.contains("it does not export weir:policy/filter@0.1.0"),
            "{refusal}"
        );
    }
}

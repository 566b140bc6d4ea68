//! Components of the world `l4` on connections, without sockets.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use weir_filter::Chunk;
use weir_filter::{
    Configured, Connection, ConnectionChain, ConnectionClosed, ConnectionEvents, ConnectionRun,
    ConnectionStep, Direction, Facts, FailureReason,
};
use weir_model::{Capability, ChainFilter, FailureMode, Isolation, Plugin};
use weir_runtime::{EngineConfig, LoadedPlugin, Runtime, World};

use crate::harness::{
    LIMITS, Memory, Opener, chain_filter, component, config, guest, load, plugin, runtime, worker,
};

/// One connection through a chain of one filter.
struct Case {
    chain: ConnectionChain,
    run: ConnectionRun,
}

impl Case {
    fn new(plugin: &LoadedPlugin, filter: &ChainFilter) -> Self {
        let Configured::Connection(configured) = plugin.configure(filter).unwrap().filter else {
            panic!("it runs on connections")
        };
        let chain = ConnectionChain::new(vec![ConnectionStep {
            filter: configured,
            failure_mode: FailureMode::Closed,
            listener: "default/gateway/tcp".into(),
        }]);
        let client = SocketAddr::from(([10, 0, 0, 7], 4321));
        let facts = Facts::new(client, SocketAddr::from(([10, 0, 0, 1], 80)), 5);
        let run = chain.start(Connection::new(facts, None));
        Self { chain, run }
    }

    fn open(&mut self) -> Result<(), ConnectionClosed> {
        worker(poll_fn(|cx| self.chain.poll_open(&mut self.run, cx)))
    }

    fn data(
        &mut self,
        direction: Direction,
        bytes: &'static str,
        end: bool,
    ) -> Result<Bytes, ConnectionClosed> {
        let chunk = Chunk {
            bytes: bytes.into(),
            end,
        };
        worker(poll_fn(|cx| {
            self.chain.poll_data(&mut self.run, direction, &chunk, cx)
        }))
    }

    fn close(&mut self) {
        worker(poll_fn(|cx| self.chain.poll_close(&mut self.run, cx)));
    }
}

fn allow(config: &str) -> Case {
    let plugin = load(&runtime(), "l4_allow");
    assert_eq!(plugin.world(), World::L4);
    Case::new(&plugin, &chain_filter(config))
}

#[test]
fn who_may_connect_is_decided_before_a_byte_is_read() {
    allow("allow=10.0.0.7").open().unwrap();
    let closed = allow("allow=10.0.0.8").open().unwrap_err();
    assert_eq!(
        closed.to_string(),
        "filter filter(allow=10.0.0.8) closed the connection"
    );
}

#[test]
fn bytes_are_replaced_each_way_as_asked() {
    let mut case = allow("upper-downstream");
    case.open().unwrap();
    assert_eq!(case.chain.events(), ConnectionEvents::DOWNSTREAM_DATA);
    assert_eq!(case.data(Direction::Request, "abc", false).unwrap(), "ABC");
    assert_eq!(case.data(Direction::Response, "abc", false).unwrap(), "abc");
}

#[test]
fn a_chunk_can_close_the_connection() {
    let mut case = allow("close-on=evil");
    case.open().unwrap();
    assert_eq!(case.data(Direction::Request, "good", false).unwrap(), "good");
    let closed = case.data(Direction::Request, "so evil", false).unwrap_err();
    assert!(matches!(closed, ConnectionClosed::Filter(_)), "{closed}");
}

/// What the counting guest writes when a connection through it is closed.
fn counted(isolation: Isolation) {
    let memory = Arc::new(Memory::default());
    let mut config = config(EngineConfig::small());
    config.sinks = Arc::new(Opener(Arc::clone(&memory)));
    let runtime = Runtime::new(config).unwrap();
    let capabilities = vec!["sink:/a".parse::<Capability>().unwrap()];
    let counting = Plugin {
        capabilities: capabilities.clone(),
        ..plugin("l4_count")
    };
    let filter = ChainFilter {
        capabilities,
        isolation,
        ..chain_filter("")
    };
    let plugin = runtime.load(&counting, &guest("l4_count")).unwrap();
    let mut case = Case::new(&plugin, &filter);
    let mut other = Case::new(&plugin, &filter);
    case.open().unwrap();
    other.open().unwrap();
    case.data(Direction::Request, "12345", false).unwrap();
    other.data(Direction::Request, "1", false).unwrap();
    case.data(Direction::Response, "123", false).unwrap();
    case.data(Direction::Request, "", true).unwrap();
    case.close();
    let records = memory.records.lock().unwrap();
    assert_eq!(
        records
            .iter()
            .map(|it| String::from_utf8_lossy(it))
            .collect::<String>(),
        "listener=default/gateway/tcp client=10.0.0.7:4321 up=5 down=3 ends=1\n",
        "{isolation}"
    );
}

#[test]
fn notes_belong_to_one_connection_until_its_close() {
    counted(Isolation::Warm);
    counted(Isolation::Fresh);
}

/// A filter whose `on-downstream-data` is this code, or another function's where it is named.
fn written(function: &str, code: &str) -> Vec<u8> {
    let wit = "package test:l4; world all { import weir:policy/connection@0.1.0; \
               export weir:policy/connection-filter@0.1.0; }";
    let body = |name: &str, plain: &'static str| {
        if name == function {
            code.to_owned()
        } else {
            plain.to_owned()
        }
    };
    let module = format!(
        r#"(module
            (memory (export "memory") 1)
            (global $at (mut i32) (i32.const 8192))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $old i32)
                global.get $at local.tee $old
                local.get 3 i32.add global.set $at local.get $old)
            (func (export "weir:policy/connection-filter@0.1.0#configure") (param i32 i32 i32) (result i32)
                (i32.store8 (i32.const 16) (i32.const 0))
                (i32.store8 (i32.const 20) (i32.const 7))
                i32.const 16)
            (func (export "weir:policy/connection-filter@0.1.0#forget") (param i32))
            (func (export "weir:policy/connection-filter@0.1.0#on-connection") (param i32) (result i32) {})
            (func (export "weir:policy/connection-filter@0.1.0#on-downstream-data")
                (param i32 i32 i32 i32) (result i32) {})
            (func (export "weir:policy/connection-filter@0.1.0#on-upstream-data")
                (param i32 i32 i32 i32) (result i32) i32.const 0)
            (func (export "weir:policy/connection-filter@0.1.0#on-close") (param i32) {}))"#,
        body("on-connection", "i32.const 0"),
        body("on-downstream-data", "i32.const 0"),
        body("on-close", ""),
    );
    component(wit, "all", Some(&module))
}

#[test]
fn a_fault_has_the_reason_of_the_limit_that_was_passed_and_leaves_the_next_connection_alone() {
    let check = |code: &str, reason: FailureReason| {
        let runtime = runtime();
        let bytes = written("on-downstream-data", code);
        let plugin = runtime.load(&plugin("faulty"), &bytes).unwrap();
        let filter = ChainFilter {
            limits: LIMITS,
            ..chain_filter("")
        };
        let mut good = Case::new(&plugin, &filter);
        let mut bad = Case::new(&plugin, &filter);
        bad.open().unwrap();
        good.open().unwrap();
        let Err(ConnectionClosed::Failed(error)) = bad.data(Direction::Request, "x", false) else {
            panic!("it must fail")
        };
        assert_eq!(error.reason, reason, "{error}");
        bad.close();
        assert_eq!(good.data(Direction::Response, "y", false).unwrap(), "y");
        good.close();
    };
    check("unreachable", FailureReason::Trap);
    check("(loop br 0) i32.const 0", FailureReason::Deadline);
    check(
        "(drop (memory.grow (i32.const 16000))) unreachable",
        FailureReason::Memory,
    );
}

#[test]
fn a_component_of_two_worlds_or_with_anothers_imports_is_refused() {
    let refused = |name: &str, wit: &str| {
        let bytes = component(wit, "all", None);
        runtime().load(&plugin(name), &bytes).unwrap_err().to_string()
    };
    assert_eq!(
        refused(
            "both",
            "package test:l4; world all { export weir:policy/filter@0.1.0; \
             export weir:policy/connection-filter@0.1.0; }"
        ),
        "plugin test/both: it exports what the worlds `policy` and `l4` export; build a component for each of them"
    );
    assert_eq!(
        refused(
            "mixed",
            "package test:l4; world all { import weir:policy/request@0.1.0; \
             export weir:policy/connection-filter@0.1.0; }"
        ),
        "plugin test/mixed: it imports \"request\", which a component of the world `weir:policy/l4` does not have; \
         build it for the world of its exports"
    );
    assert!(
        refused(
            "wrong",
            "package test:l4; world all { import weir:policy/connection@0.1.0; export weir:policy/filter@0.1.0; }"
        )
        .contains("imports \"connection\"")
    );
}

#[test]
fn a_filter_on_exchanges_cannot_be_made_of_it() {
    let error = load(&runtime(), "l4_allow")
        .filter(&chain_filter(""))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "filter filter(): its plugin test/l4_allow is of the world `weir:policy/l4` and does not run on exchanges"
    );
}

//! Components that work on their own time, called by hand.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use weir_filter::{
    CalloutError, CalloutRequest, CalloutResponse, CalloutStream, Callouts, Configured, FailureReason,
    FetchFuture,
};
use weir_kv::Store;
use weir_model::{Capability, ChainFilter, GrantedBackend, Isolation, Limits, Plugin};
use weir_runtime::{Background, Configuration, EngineConfig, LoadError, Runtime, World};

use crate::harness::{Calls as _, LIMITS, chain_filter, component, config, exchange, guest, plugin, worker};

/// A runtime and the store of its plugins.
struct Bench {
    runtime: Runtime,
    store: Arc<Store>,
}

impl Bench {
    fn new() -> Self {
        let config = config(EngineConfig::small());
        let store = Arc::clone(&config.store);
        let runtime = Runtime::new(config).unwrap();
        Self { runtime, store }
    }

    fn configure(&self, name: &str, filter: ChainFilter) -> Result<(World, Configuration), LoadError> {
        let capabilities = vec![Capability::Kv, Capability::Upstream];
        let backends = vec![GrantedBackend {
            name: "keys".to_owned(),
            cluster: "the-keys".to_owned(),
        }];
        let granted = Plugin {
            capabilities: capabilities.clone(),
            backends: backends.clone(),
            ..plugin(name)
        };
        let filter = ChainFilter {
            capabilities,
            backends,
            ..filter
        };
        let loaded = self.runtime.load(&granted, &guest(name))?;
        Ok((loaded.world(), loaded.configure(&filter)?))
    }

    fn ticker(&self, config: &str) -> Background {
        let (world, configured) = self.configure("ticker", chain_filter(config)).unwrap();
        assert_eq!(world, World::BackgroundTask);
        assert!(matches!(configured.filter, Configured::Background));
        configured.background.unwrap()
    }

    fn ticks(&self) -> String {
        let namespace = self.store.namespace("test/ticker", Limits::DEFAULT.kv_bytes);
        let entry = namespace.get("ticks", Instant::now());
        entry.map_or_else(String::new, |it| String::from_utf8_lossy(&it.value).into_owned())
    }
}

fn tick(background: &mut Background) -> Result<Option<Duration>, FailureReason> {
    worker(background.on_timer(None)).map_err(|error| error.reason)
}

#[test]
fn a_timer_answers_when_it_wants_the_next_or_that_it_wants_none() {
    let bench = Bench::new();
    let mut background = bench.ticker("every=25 stop=2");
    assert_eq!(bench.ticks(), "", "to be configured is not to be called");
    assert_eq!(tick(&mut background), Ok(Some(Duration::from_millis(25))));
    assert_eq!(tick(&mut background), Ok(None));
    assert_eq!(bench.ticks(), "2");
    let mut hasty = bench.ticker("every=0");
    assert_eq!(
        tick(&mut hasty),
        Ok(Some(Duration::from_millis(1))),
        "0 counts as 1"
    );
}

#[test]
fn a_trap_costs_its_call_and_the_next_has_a_new_instance() {
    let bench = Bench::new();
    let mut background = bench.ticker("trap=2");
    assert!(tick(&mut background).is_ok());
    assert_eq!(tick(&mut background), Err(FailureReason::Trap));
    assert!(tick(&mut background).is_ok(), "what is kept is in the store");
    assert_eq!(bench.ticks(), "3");
}

#[test]
fn a_configuration_is_refused_before_anything_runs() {
    let refused = Bench::new()
        .configure("ticker", chain_filter("nonsense"))
        .unwrap_err();
    assert!(matches!(refused, LoadError::Refused { .. }), "{refused}");
}

/// Background work that counts its turns in memory and asks to be called again after as many milliseconds.
const COUNTING: &str = r#"(module
    (memory (export "memory") 1)
    (global $turns (mut i64) (i64.const 0))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "weir:policy/background@0.1.0#configure") (param i32 i32 i32) (result i32)
        (i32.store8 (i32.const 64) (i32.const 0)) i32.const 64)
    (func (export "weir:policy/background@0.1.0#forget") (param i32))
    (func (export "weir:policy/background@0.1.0#on-timer") (param i32) (result i32)
        (global.set $turns (i64.add (global.get $turns) (i64.const 1)))
        (i32.store8 (i32.const 32) (i32.const 1))
        (i64.store (i32.const 40) (global.get $turns))
        i32.const 32))"#;

#[test]
fn every_filter_has_an_instance_of_its_own_and_a_fresh_one_for_each_turn_where_isolation_says_so() {
    let wit = "package test:b; world all { export weir:policy/background@0.1.0; }";
    let bytes = component(wit, "all", Some(COUNTING));
    let bench = Bench::new();
    let loaded = bench.runtime.load(&plugin("counting"), &bytes).unwrap();
    let background = |isolation| {
        let filter = ChainFilter {
            isolation,
            ..chain_filter("")
        };
        loaded.configure(&filter).unwrap().background.unwrap()
    };
    let (mut one, mut two) = (background(Isolation::Warm), background(Isolation::Warm));
    let mut fresh = background(Isolation::Fresh);
    let turn = |it: &mut Background| tick(it).unwrap().unwrap().as_millis();
    assert_eq!(
        [turn(&mut one), turn(&mut one), turn(&mut two), turn(&mut one)],
        [1, 2, 1, 3]
    );
    assert_eq!([turn(&mut fresh), turn(&mut fresh)], [1, 1]);
}

/// Answers every fetch with a key, or never.
#[derive(Debug)]
struct Keys {
    key: Option<&'static str>,
    asked: Mutex<Vec<String>>,
}

impl Callouts for Keys {
    fn fetch(&self, cluster: &str, request: CalloutRequest) -> FetchFuture {
        self.asked
            .lock()
            .unwrap()
            .push(format!("{cluster}{}", request.path));
        let answer: Pin<Box<dyn Future<Output = _> + Send>> = match self.key {
            Some(key) => Box::pin(async move {
                Ok(CalloutResponse {
                    status: StatusCode::OK,
                    headers: HeaderMap::new(),
                    body: key.into(),
                    trailers: HeaderMap::new(),
                })
            }),
            None => Box::pin(std::future::pending::<Result<CalloutResponse, CalloutError>>()),
        };
        answer
    }

    fn stream(&self, _: &str, _: CalloutRequest) -> CalloutStream {
        unimplemented!("the guest opens none")
    }
}

#[test]
fn what_background_work_fetches_its_filter_reads() {
    let bench = Bench::new();
    let filter = chain_filter("backend=keys every=5");
    let (world, configured) = bench.configure("keys", filter).unwrap();
    assert_eq!(world, World::Policy);
    let Configured::Filter(check) = configured.filter else {
        panic!("it runs on exchanges")
    };
    let status = |key: &'static str| {
        let mut exchange = exchange(&[("x-key", key)]);
        check.on_request_head(&mut exchange).unwrap();
        exchange.take_reply().map(|reply| reply.status.as_u16())
    };
    assert_eq!(status("k1"), Some(503), "no key yet");
    let mut background = configured.background.unwrap();
    let backend = Arc::new(Keys {
        key: Some("k1"),
        asked: Mutex::default(),
    });
    let next = worker(background.on_timer(Some(backend.clone()))).unwrap();
    assert_eq!(next, Some(Duration::from_millis(5)));
    assert_eq!(*backend.asked.lock().unwrap(), ["the-keys/keys"]);
    assert_eq!((status("k1"), status("k2")), (None, Some(401)));
}

#[test]
fn a_turn_takes_no_longer_than_the_wall_time_of_a_call() {
    let bench = Bench::new();
    let limits = Limits {
        timeout: Duration::from_millis(100),
        ..LIMITS
    };
    let filter = ChainFilter {
        limits,
        ..chain_filter("backend=keys")
    };
    let (_, configured) = bench.configure("keys", filter).unwrap();
    let mut background = configured.background.unwrap();
    let silent = Arc::new(Keys {
        key: None,
        asked: Mutex::default(),
    });
    let error = worker(background.on_timer(Some(silent))).unwrap_err();
    assert_eq!(error.reason, FailureReason::Timeout);
}

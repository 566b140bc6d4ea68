//! A gateway whose plugin file is replaced while it serves.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tempfile::TempDir;
use weir_artifact::{Fetcher, Options};
use weir_gateway::{Applied, BackgroundThread, Builtins, Gateway, Sources};
use weir_harness::eventually;
use weir_kv::Store;
use weir_model::{PluginIndex, PluginSource, Revision, Snapshot};
use weir_proxy::FleetConfig;

use crate::site::{Records, Wanted, guest, runtime, snapshot, stored};

/// A gateway with one plugin, from a file.
struct Served {
    tokio: tokio::runtime::Runtime,
    gateway: Gateway,
    sources: Sources,
    store: Arc<Store>,
    snapshot: Snapshot,
    folder: TempDir,
}

impl Served {
    /// The plugin has a filter for each of the configurations.
    fn new(guest: &'static str, configs: &[&str]) -> Self {
        let store = Arc::new(Store::new());
        let config = FleetConfig {
            workers: 1,
            ..FleetConfig::default()
        };
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let gateway = Gateway::start(
            &config,
            Arc::new(runtime(&store, Arc::<Records>::default())),
            Arc::new(Builtins::new()),
            Arc::new(BackgroundThread::start().unwrap()),
        );
        let folder = tempfile::tempdir().unwrap();
        Self {
            tokio: tokio.unwrap(),
            gateway: gateway.unwrap(),
            sources: Sources::new(Fetcher::build(&Options::default()).unwrap()),
            store,
            snapshot: one_plugin(guest, configs, &folder),
            folder,
        }
    }

    fn put(&self, bytes: &[u8]) {
        fs::write(self.folder.path().join("plugin.wasm"), bytes).unwrap();
    }

    fn apply(&mut self) -> Applied {
        let (snapshot, arrived) = (self.snapshot.clone(), self.sources.arrived());
        self.tokio
            .block_on(self.gateway.apply(snapshot, arrived))
            .unwrap()
    }

    fn ticks(&self, key: &str) -> u32 {
        stored(&self.store, &self.snapshot.plugins[0].name, key).unwrap_or_default()
    }

    fn version(&self) -> String {
        self.gateway.plugin(&self.snapshot.plugins[0].name).unwrap()
    }
}

fn one_plugin(guest: &'static str, configs: &[&str], folder: &TempDir) -> Snapshot {
    let wanted = |config| Wanted {
        guest,
        config,
        backend: None,
    };
    let wanted: Vec<_> = configs.iter().copied().map(wanted).collect();
    let mut snapshot = snapshot(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)), &wanted);
    snapshot.plugins.truncate(1);
    snapshot.plugins[0].source = PluginSource::File(folder.path().join("plugin.wasm"));
    for filter in &mut snapshot.filters {
        filter.plugin = PluginIndex(0);
    }
    snapshot
}

/// The same component as other bytes: with a custom section at its end.
fn rebuilt(guest: &[u8]) -> Vec<u8> {
    [guest, b"\x00\x05\x03new!"].concat()
}

#[test]
fn work_alone_begins_anew_with_replaced_bytes_and_goes_on_from_then() {
    let mut served = Served::new("ticker", &["key=once stop=1", "key=on every=1"]);
    served.put(&guest("ticker"));
    assert!(served.apply().is_new);
    assert_eq!(served.ticks("once"), 1);
    served.put(&rebuilt(&guest("ticker")));
    assert!(served.apply().is_new);
    assert_eq!(served.ticks("once"), 2, "the new component has ticked");
    assert!(!served.apply().is_new);
    assert_eq!(served.ticks("once"), 2, "what is the same is not begun again");
    served.snapshot.revision = Revision::from_digest([2; 8]);
    assert!(served.apply().is_new);
    let before = served.ticks("on");
    eventually("more ticks", || (served.ticks("on") > before + 5).then_some(()));
}

#[test]
fn a_plugin_is_known_by_the_version_that_runs_and_not_by_one_that_was_refused() {
    let mut served = Served::new("config_echo", &["a word"]);
    served.put(&guest("config_echo"));
    assert_eq!(served.apply().failures, []);
    let good = served.version();
    served.put(&guest("refuses"));
    assert_eq!(served.apply().failures.len(), 1, "its filter refuses the word");
    assert_eq!(served.version(), good);
    served.put(b"no component");
    assert_eq!(served.apply().failures.len(), 1, "it cannot be loaded");
    assert_eq!(served.version(), good);
    served.put(&rebuilt(&guest("config_echo")));
    assert_eq!(served.apply().failures, []);
    assert_ne!(served.version(), good);
}

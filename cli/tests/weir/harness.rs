//! A `weir run` in a folder of its own, and the manifests most tests need.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::{env, fs};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use weir_harness::{Client, eventually};

/// The command, with a cache that all tests share: each plugin is compiled once.
pub(crate) fn weir(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command
        .args(arguments)
        .env("XDG_CACHE_HOME", cache())
        .env_remove("WEIR_LOG");
    command
}

/// Runs a command that ends by itself; gives its code, stdout and stderr.
pub(crate) fn output(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = weir(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A folder with manifests and plugins.
pub(crate) struct Folder {
    dir: TempDir,
}

impl Folder {
    pub(crate) fn new(manifests: &str) -> Self {
        let folder = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        folder.write("gateway.yaml", manifests);
        folder
    }

    pub(crate) fn path(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    /// Writes a file the way careful tools do: beside it first, then in its place.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let staged = self.dir.path().join(format!("{name}.new"));
        fs::write(&staged, content).unwrap();
        fs::rename(staged, self.dir.path().join(name)).unwrap();
    }

    /// Puts a test guest into the folder.
    pub(crate) fn plugin(&self, name: &str, guest: &str) {
        self.write(name, fs::read(component("tests", guest)).unwrap());
    }
}

/// A component that `cargo xtask plugins` has built.
pub(crate) fn component(kind: &str, name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/wasm/{kind}/{name}.wasm"));
    assert!(
        path.is_file(),
        "{} is missing; run `cargo xtask plugins`",
        path.display()
    );
    path
}

/// A running gateway.
pub(crate) struct Weir {
    child: Child,
    pub(crate) address: SocketAddr,
    admin: String,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Weir {
    /// Starts `weir run` and waits until it accepts on `port`.
    pub(crate) fn start(folder: &Folder, port: u16) -> Self {
        let admin = format!("127.0.0.1:{}", free_port());
        let mut child = weir(&[
            "run",
            folder.path(),
            "--admin",
            &admin,
            "--workers",
            "2",
            "--wasm-pool",
            "small",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
        let (stdout, stderr) = (Arc::default(), Arc::default());
        drain(child.stdout.take().unwrap(), &stdout);
        drain(child.stderr.take().unwrap(), &stderr);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut this = Self {
            child,
            address,
            admin,
            stdout,
            stderr,
        };
        // Plugins are compiled before the first request is accepted, in a test build on a busy machine.
        for _ in 0..12 {
            let accepted =
                std::panic::catch_unwind(|| eventually("accepting", || TcpStream::connect(address).ok()));
            if accepted.is_ok() {
                return this;
            }
            assert!(
                this.child.try_wait().unwrap().is_none(),
                "weir ended: {}",
                this.stderr()
            );
        }
        panic!("weir does not accept: {}", this.stderr());
    }

    /// The niceness of each thread whose name begins like this.
    pub(crate) fn niceness(&self, thread: &str) -> Vec<i32> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let stat = threads.filter_map(|it| fs::read_to_string(it.unwrap().path().join("stat")).ok());
        stat.filter_map(|stat| {
            let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
            let niceness = rest.split_whitespace().nth(16)?.parse().unwrap();
            name.starts_with(thread).then_some(niceness)
        })
        .collect()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    pub(crate) fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// What `weir status` prints.
    pub(crate) fn status(&self) -> String {
        let (code, stdout, stderr) = output(&["status", "--admin", &self.admin]);
        assert_eq!(code, Some(0), "{stderr}");
        stdout
    }

    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Waits for the end; gives the exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        eventually("the end", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn drain(mut from: impl Read + Send + 'static, to: &Arc<Mutex<String>>) {
    let to = Arc::clone(to);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            to.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    });
}

/// A port that nobody listens on. Gateway API has no "any port".
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

/// A GatewayClass and a Gateway with one listener.
pub(crate) fn gateway(port: u16) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: weir}}
spec: {{controllerName: weir.dev/gateway-controller}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: test}}
spec:
  gatewayClassName: weir
  addresses: [{{type: IPAddress, value: 127.0.0.1}}]
  listeners: [{{name: http, protocol: HTTP, port: {port}}}]
"
    )
}

/// A route of that name for a path prefix, to an origin.
pub(crate) fn route(name: &str, prefix: &str, origin: SocketAddr) -> String {
    let port = origin.port();
    format!(
        "---
apiVersion: gateway.kgateway.dev/v1alpha1
kind: Backend
metadata: {{name: {name}}}
spec: {{static: {{hosts: [{{host: 127.0.0.1, port: {port}}}]}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: test}}]
  rules:
    - matches: [{{path: {{type: PathPrefix, value: {prefix}}}}}]
      backendRefs: [{{group: gateway.kgateway.dev, kind: Backend, name: {name}}}]
"
    )
}

/// The deadline of test plugins. It is wall time, and tests share a busy machine.
pub(crate) const DEADLINE: &str = "10s";

/// A plugin from `<name>.wasm`, and its policy on the route of that name.
pub(crate) fn policy(name: &str, config: &str, more: &str) -> String {
    format!(
        "---
apiVersion: weir.dev/v1alpha1
kind: Plugin
metadata: {{name: {name}}}
spec: {{source: {{file: {{path: {name}.wasm}}}}, limits: {{deadline: {DEADLINE}}}}}
---
apiVersion: weir.dev/v1alpha1
kind: PluginPolicy
metadata: {{name: {name}}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: {name}}}]
  plugin: {{name: {name}}}
  config: {config}
  {more}
"
    )
}

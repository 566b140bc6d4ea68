//! A real OCI registry, CNCF distribution's, as a process on a port of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::{Client, Message};

/// How a registry is set up.
#[derive(Clone, Debug, Default)]
pub struct RegistrySetup {
    /// Certificate chain and key, as PEM files, for TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Lines `user:bcrypt-hash`; whoever is not in it may do nothing.
    pub users: Option<String>,
    /// The `token` part of its configuration's `auth`, as YAML of one line.
    pub token: Option<String>,
}

/// A running registry. Ends when dropped; its data is the folder it was given.
#[derive(Debug)]
pub struct Registry {
    /// Where it listens.
    pub address: SocketAddr,
    process: Child,
}

impl Registry {
    /// Starts an open registry without TLS that keeps its data in this folder.
    ///
    /// # Panics
    /// When the registry's program is missing or does not start.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &RegistrySetup::default())
    }

    /// Starts a registry that keeps its data in this folder.
    ///
    /// # Panics
    /// When the registry's program is missing or does not start.
    pub fn start_with(folder: &Path, setup: &RegistrySetup) -> Self {
        let config = folder.join("registry.yaml");
        fs::write(&config, configuration(folder, setup)).expect("the registry's configuration is written");
        let mut process = Command::new(program())
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the registry starts");
        let log = BufReader::new(process.stderr.take().expect("its log"));
        let (found, address) = mpsc::sync_channel(1);
        // Reads to the end: a full pipe would stop the registry.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Some(address) = listening(&line) {
                    let _only_the_first = found.try_send(address);
                }
            }
        });
        let address = address.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| {
            let _ended = process.kill();
            panic!("the registry does not say where it listens");
        });
        Self { address, process }
    }

    /// Ends the process, as a failure would.
    ///
    /// # Panics
    /// When the system does not let us.
    pub fn stop(&mut self) {
        self.process.kill().expect("the registry is ended");
        self.process.wait().expect("the registry has ended");
    }

    /// `host:port`, as references write it.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// Uploads a blob to an open registry without TLS, byte for byte.
    ///
    /// # Panics
    /// When the registry refuses.
    pub fn put_blob(&self, repository: &str, digest: &str, bytes: &[u8]) {
        let mut client = Client::connect(self.address);
        let started = client.post(&format!("/v2/{repository}/blobs/uploads/"), "", "");
        assert_eq!(started.status(), 202, "{}", started.text());
        let place = started.header("location").expect("a place to upload to");
        let path = place
            .trim_start_matches("http://")
            .trim_start_matches(|other| other != '/');
        let answer = put(
            &mut client,
            &format!("{path}&digest={digest}"),
            "application/octet-stream",
            bytes,
        );
        assert_eq!(answer.status(), 201, "{}", answer.text());
    }

    /// Uploads a manifest to an open registry without TLS, byte for byte.
    ///
    /// # Panics
    /// When the registry refuses.
    pub fn put_manifest(&self, repository: &str, name: &str, media_type: &str, bytes: &[u8]) {
        let mut client = Client::connect(self.address);
        let path = format!("/v2/{repository}/manifests/{name}");
        let answer = put(&mut client, &path, media_type, bytes);
        assert_eq!(answer.status(), 201, "{}", answer.text());
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended before.
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn put(client: &mut Client, path: &str, media_type: &str, bytes: &[u8]) -> Message {
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: test.example\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n",
        bytes.len()
    );
    client
        .write(head.as_bytes())
        .and_then(|()| client.write(bytes))
        .expect("the upload is written");
    client.read(false).expect("an answer")
}

fn configuration(folder: &Path, setup: &RegistrySetup) -> String {
    let data = folder.join("data");
    let mut text = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n",
        data.display()
    );
    if let Some((certificate, key)) = &setup.tls {
        text += &format!(
            "  tls:\n    certificate: {}\n    key: {}\n",
            certificate.display(),
            key.display()
        );
    }
    if let Some(users) = &setup.users {
        let file = folder.join("users");
        fs::write(&file, users).expect("the users are written");
        text += &format!(
            "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
            file.display()
        );
    }
    if let Some(token) = &setup.token {
        text += &format!("auth:\n  token: {token}\n");
    }
    text
}

fn listening(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    let end = rest.find(['"', ',', ' ']).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// The program that `cargo xtask setup` builds, found from the test's own place in the target directory.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    test.ancestors()
        .map(|folder| folder.join("tools/registry/registry"))
        .find(|program| program.is_file())
        .expect("the OCI registry for tests is missing; run `cargo xtask setup` (it needs Go)")
}

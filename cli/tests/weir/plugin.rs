//! `weir plugin` with a real registry, real components and real logins.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use weir_harness::{Registry, RegistrySetup};

use crate::harness::{component, weir};

/// `puller` with the password `open sesame`.
const USERS: &str = "puller:$2a$04$aOrIe37dzv/GD/195mmWCuYdTBqEcyIbwsC8WwF3G/VHzSNGvIeVO\n";

/// A public key whose owner has signed nothing here.
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAErfP04fFfVMdNEu0UoVf52kOBaoqM
yuFYKj+p4XSSsursdrTmWSCBqy1cdKYOrHpkqc3osz4bTtHFvkSnHAgFKg==
-----END PUBLIC KEY-----
";

/// A registry, and a folder to work in.
struct Bench {
    registry: Registry,
    folder: TempDir,
}

/// How a command ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Bench {
    fn start() -> Self {
        Self::start_with(&RegistrySetup::default())
    }

    fn start_with(setup: &RegistrySetup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            registry: Registry::start_with(folder.path(), setup),
            folder,
        }
    }

    fn reference(&self) -> String {
        format!("{}/team/geo:1", self.registry.name())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file in the folder.
    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `weir plugin …` without a login of its own.
    fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "", &[])
    }

    fn run_with(&self, arguments: &[&str], stdin: &str, variables: &[(&str, &str)]) -> Ended {
        let mut child = weir(&["plugin"])
            .args(arguments)
            .env("DOCKER_CONFIG", self.path("no-logins"))
            .env_remove("SOURCE_DATE_EPOCH")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end without reading.
        let _written = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn push(&self, file: &str) -> String {
        self.run(&["push", file, &self.reference(), "--plain-http"])
            .done()
    }
}

impl Ended {
    /// What it printed, when all went well.
    fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }

    fn json(self) -> Value {
        serde_json::from_str(&self.done()).unwrap()
    }

    /// Fails the test unless it failed with all these words and printed no result.
    fn refused(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{}", self.stderr);
        assert_eq!(self.stdout, "");
        for word in words {
            assert!(self.stderr.contains(word), "{} lacks {word}", self.stderr);
        }
    }
}

fn guest(name: &str) -> String {
    component("tests", name).to_str().unwrap().to_owned()
}

fn list(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect()
}

#[test]
fn what_is_pushed_is_inspected_by_its_reference_and_comes_back_the_same() {
    let bench = Bench::start();
    let pushed = bench.push(&guest("kv_probe"));
    let pinned = pushed.trim_end();
    assert!(
        pinned.starts_with(&format!("{}/team/geo@sha256:", bench.registry.name())),
        "{pinned}"
    );

    let found = bench
        .run(&["inspect", &bench.reference(), "--plain-http", "-o", "json"])
        .json();
    assert_eq!(found["source"], pinned);
    assert_eq!(found["kind"], "plugin");
    assert!(list(&found["capabilities"]).contains(&"kv"), "{found}");
    assert!(
        list(&found["imports"]).contains(&"weir:policy/kv@0.1.0"),
        "{found}"
    );
    assert_eq!(list(&found["exports"]), ["weir:policy/filter@0.1.0"]);
    assert_eq!(list(&found["contract"]), ["0.1.0"]);
    assert!(found["nativeSize"].as_u64().unwrap() > 1000);

    let out = bench.path("back.wasm");
    let pulled = bench.run(&["pull", pinned, "--plain-http", "-o", out.to_str().unwrap()]);
    assert_eq!(pulled.done(), pushed);
    assert_eq!(fs::read(out).unwrap(), fs::read(guest("kv_probe")).unwrap());
}

#[test]
fn the_same_file_has_the_same_digest_whenever_it_is_pushed() {
    let bench = Bench::start();
    let first = bench.push(&guest("headers"));
    assert_eq!(bench.push(&guest("headers")), first);
    let (file, reference) = (guest("headers"), bench.reference());
    let push = ["push", &file, &reference, "--plain-http", "-o", "json"];
    let dated = bench
        .run_with(&push, "", &[("SOURCE_DATE_EPOCH", "86400")])
        .json();
    assert_ne!(dated["reference"], first.trim_end());
    assert_eq!(dated["size"], fs::metadata(&file).unwrap().len());
    let again = bench
        .run_with(&push, "", &[("SOURCE_DATE_EPOCH", "86400")])
        .json();
    assert_eq!(again, dated);
    bench
        .run_with(&push, "", &[("SOURCE_DATE_EPOCH", "today")])
        .refused(&["SOURCE_DATE_EPOCH: \"today\" is no time"]);
}

#[test]
fn a_reference_that_nobody_pushed_is_not_found() {
    let bench = Bench::start();
    let (reference, out) = (bench.reference(), bench.path("out.wasm"));
    let out = out.to_str().unwrap();
    let missing = bench.run(&["pull", &reference, "--plain-http", "-o", out]);
    missing.refused(&[&reference, "404", "there is no such artifact"]);
    assert!(!PathBuf::from(out).exists());
    bench
        .run(&["inspect", &reference, "--plain-http"])
        .refused(&["404"]);
    bench
        .run(&["inspect", "geo"])
        .refused(&["geo: there is no such file"]);
    bench.run(&["inspect", "./geo.wasm"]).refused(&["./geo.wasm"]);
    bench
        .run(&["pull", &reference, "-o", out])
        .refused(&["--plain-http is for a registry without TLS"]);
}

#[test]
fn what_another_key_signed_is_not_taken() {
    let bench = Bench::start();
    bench.push(&guest("headers"));
    let (reference, key) = (bench.reference(), bench.file("cosign.pub", KEY));
    let out = bench.file("out.wasm", "as it was");
    let unsigned = bench.run(&[
        "pull",
        &reference,
        "--plain-http",
        "--public-key",
        &key,
        "-o",
        &out,
    ]);
    unsigned.refused(&["the signature of", "was not verified", "cosign sign"]);
    assert_eq!(fs::read(&out).unwrap(), b"as it was");
    // A key of some other kind than a public one.
    let key = bench.file("cosign.key", KEY.replace("PUBLIC", "PRIVATE"));
    bench
        .run(&["inspect", &reference, "--plain-http", "--public-key", &key])
        .refused(&["--public-key", "cosign.key", "give a PUBLIC KEY"]);
}

#[test]
fn what_the_key_signed_is_taken() {
    use base64::Engine as _;
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
    let bench = Bench::start();
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let wasm = fs::read(guest("headers")).unwrap();
    let signature = base64::engine::general_purpose::STANDARD.encode(pair.sign(&wasm).unwrap());
    let file = bench.file("headers.wasm", &wasm);
    bench.file("headers.wasm.sig", signature);
    let key = bench.file("cosign.pub", pair.public_key_pem());
    assert!(
        bench
            .run(&["inspect", &file, "--public-key", &key])
            .done()
            .contains("kind")
    );
    let other = bench.file("other.pub", KEY);
    bench
        .run(&["inspect", &file, "--public-key", &other])
        .refused(&["was not verified"]);
}

#[test]
fn only_registries_of_the_list_are_asked() {
    let bench = Bench::start();
    bench.push(&guest("headers"));
    let (reference, name) = (bench.reference(), bench.registry.name());
    let inspect =
        |allowed: &str| bench.run(&["inspect", &reference, "--plain-http", "--allow-registry", allowed]);
    inspect("ghcr.io").refused(&[&reference, "is not allowed", "--allow-registry"]);
    inspect(&format!("{name}/other")).refused(&["is not allowed"]);
    inspect("https://ghcr.io").refused(&["--allow-registry"]);
    inspect(&format!("{name}/team")).done();
}

#[test]
fn a_registry_that_asks_gets_the_login_of_the_command_line_or_of_docker() {
    let bench = Bench::start_with(&RegistrySetup {
        users: Some(USERS.into()),
        ..RegistrySetup::default()
    });
    let (file, reference) = (guest("headers"), bench.reference());
    let push = ["push", &file, &reference, "--plain-http"];
    bench.run(&push).refused(&["401", "--username", "docker login"]);
    let push = [&push[..], &["--username", "puller"]].concat();
    bench
        .run(&push)
        .refused(&["--username: there is no password on standard input"]);
    bench
        .run_with(&push, "wrong\n", &[])
        .refused(&["401 (UNAUTHORIZED): the credentials are missing or wrong"]);
    bench.run_with(&push, "open sesame\n", &[]).done();

    let login = |entry: &str| {
        let config = bench.file(
            "docker/config.json",
            entry.replace("REGISTRY", &bench.registry.name()),
        );
        let folder = PathBuf::from(config)
            .parent()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        bench.run_with(
            &["inspect", &reference, "--plain-http"],
            "",
            &[("DOCKER_CONFIG", &folder)],
        )
    };
    // base64 of `puller:open sesame`
    login(r#"{"auths": {"REGISTRY": {"auth": "cHVsbGVyOm9wZW4gc2VzYW1l"}}}"#).done();
    login(r#"{"auths": {"other.example": {"auth": "cHVsbGVyOm9wZW4gc2VzYW1l"}}}"#).refused(&["401"]);
    login(r#"{"credHelpers": {"REGISTRY": "ecr-login"}}"#)
        .refused(&["credential helper \"ecr-login\"", "config.json"]);
    login("not json").refused(&["docker/config.json", "docker login"]);
}

#[test]
fn a_person_is_told_what_to_grant_and_which_phases_run() {
    let bench = Bench::start();
    let text = bench.run(&["inspect", &guest("hostile_calls")]).done();
    let snippet = "  capabilities:\n    - kv\n    - log\n    - metrics\n    - random\n    - sink:/PATH  # one line for each \
                   output, such as sink:/dev/stdout\n    - upstream  # and under `backends:` each backend it may call\n";
    assert!(text.contains(snippet), "{text}");
    let phases = |config: &str| {
        let found = bench.run(&["inspect", &guest("trap"), "--config", config, "-o", "json"]);
        found.json()["phases"].clone()
    };
    assert_eq!(list(&phases("\"log\"")), ["log"]);
    assert_eq!(
        list(&phases("\"response-body\"")),
        ["response-head", "response-body"]
    );
    let refused = bench
        .run(&["inspect", &guest("trap"), "--config", "\"lunch\"", "-o", "json"])
        .json();
    assert!(
        refused["phasesError"]
            .as_str()
            .unwrap()
            .contains("\"lunch\" is no phase"),
        "{refused}"
    );
}

#[test]
fn a_schema_that_a_plugin_carries_is_shown() {
    let bench = Bench::start();
    let wasm = fs::read(guest("headers")).unwrap();
    let carrying = |schema: &str| {
        let name = b"weir:schema";
        let size = u8::try_from(1 + name.len() + schema.len()).unwrap();
        let section = [
            &[0, size, u8::try_from(name.len()).unwrap()],
            &name[..],
            schema.as_bytes(),
        ]
        .concat();
        let file = bench.file("schema.wasm", [&wasm[..], &section].concat());
        bench.run(&["inspect", &file, "-o", "json"]).json()
    };
    assert_eq!(carrying(r#"{"type":"object"}"#)["schema"]["type"], "object");
    let broken = carrying("{");
    assert!(
        broken["schemaError"].as_str().unwrap().contains("not JSON"),
        "{broken}"
    );
    assert!(broken["schema"].is_null());
}

#[test]
fn what_no_gateway_runs_is_told_apart() {
    let bench = Bench::start();
    let kind = |file: &str| bench.run(&["inspect", file, "-o", "json"]).json()["kind"].clone();
    assert_eq!(kind(&guest("wasi_hello")), "http-handler");
    assert_eq!(kind(&bench.file("module.wasm", b"\0asm\x01\0\0\0")), "module");
    // One function of no arguments, exported under the marker's name.
    let marker = b"proxy_abi_version_0_2_1";
    let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0".to_vec();
    let size = u8::try_from(marker.len()).unwrap();
    module.extend([7, size + 4, 1, size]);
    module.extend(marker);
    module.extend([0, 0, 10, 4, 1, 2, 0, 0x0b]);
    assert_eq!(kind(&bench.file("proxy.wasm", module)), "proxy-wasm");

    let page = bench.file("page.wasm", "<html>");
    bench.run(&["inspect", &page]).refused(&["page.wasm", "web page"]);
    bench
        .run(&["push", &page, &bench.reference(), "--plain-http"])
        .refused(&["page.wasm", "not WebAssembly"]);
    let whole = fs::read(guest("headers")).unwrap();
    let half = bench.file("half.wasm", &whole[..whole.len() / 2]);
    bench.run(&["inspect", &half]).refused(&["half.wasm", "damaged"]);
}

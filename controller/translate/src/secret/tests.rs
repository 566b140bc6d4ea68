//! Which credentials are found for which registry, and that no message gives them away.

use serde_json::json;
use weir_crds::{Kind, Object};

use super::*;
use crate::Scope;

/// An input with a Secret `default/s` of registry credentials.
fn input(type_: &str, config: &str) -> Input {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": type_,
        "metadata": {"name": "s", "namespace": "default"},
        "stringData": {DOCKER_CONFIG_KEY: config}
    });
    Input::new(Scope::Files, Object::read(Kind::Secret, secret))
}

#[test]
fn credentials_are_found_by_registry_and_the_closest_path_wins() {
    let config = json!({"auths": {
        "ghcr.io": {"username": "host", "password": "p"},
        "ghcr.io/acme": {"username": "path", "password": "p"},
        "https://index.docker.io/v1/": {"auth": "aHViOmh1bnRlcjI="},
        "registry.example:5000": {"auth": "cG9ydDphOmI"},
    }});
    let input = input(DOCKER_CONFIG_TYPE, &config.to_string());
    let check = |reference: &str, expect: Option<(&str, &str)>| {
        let found = pull_secret(&input, "default", "s", reference);
        let found = found
            .as_ref()
            .ok()
            .map(|it| (it.username.as_str(), it.password.as_str()));
        assert_eq!(found, expect, "{reference}");
    };
    check("ghcr.io/other/p:v1", Some(("host", "p")));
    check("ghcr.io/acme/p:v1", Some(("path", "p")));
    check("ghcr.io/acme:v1", Some(("path", "p")));
    check("ghcr.io/acme2/p:v1", Some(("host", "p")));
    check("docker.io/acme/p:v1", Some(("hub", "hunter2")));
    check("registry.example:5000/p:v1", Some(("port", "a:b")));
    check("registry.example/p:v1", None);
    check("ghcr.io.evil.example/p:v1", None);
}

#[test]
fn what_is_wrong_with_credentials_is_said_without_showing_them() {
    let check = |type_: &str, config: &str, name: &str, expect: &str| {
        let error = pull_secret(&input(type_, config), "default", name, "ghcr.io/p:v1").unwrap_err();
        assert!(error.message.contains(expect), "{}", error.message);
        assert!(!error.message.contains("hunter2"), "{}", error.message);
    };
    check(
        DOCKER_CONFIG_TYPE,
        "{}",
        "gone",
        "there is no Secret default/gone",
    );
    check(
        "Opaque",
        "{}",
        "s",
        "its type must be kubernetes.io/dockerconfigjson",
    );
    check(
        DOCKER_CONFIG_TYPE,
        r#"{"auths": "hunter2"}"#,
        "s",
        "is no registry configuration",
    );
    check(DOCKER_CONFIG_TYPE, "{}", "s", "has no entry for registry ghcr.io");
    check(
        DOCKER_CONFIG_TYPE,
        r#"{"auths": {"ghcr.io": {"password": "hunter2"}}}"#,
        "s",
        "neither username and password nor auth",
    );
    check(
        DOCKER_CONFIG_TYPE,
        r#"{"auths": {"ghcr.io": {"auth": "hunter2!"}}}"#,
        "s",
        "neither username and password nor auth",
    );
}

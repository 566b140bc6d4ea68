//! Secrets: registry credentials and public keys. No message ever holds a value of a Secret.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use std::collections::BTreeMap;
use weir_config::document::PullSecret;
use weir_crds::core::{DOCKER_CONFIG_KEY, DOCKER_CONFIG_TYPE, Secret};
use weir_crds::weir::SecretKeyReference;
use weir_model::Signature;

use crate::input::Input;
use crate::limit::Defect;
use crate::unresolved::Unresolved;

/// What is wrong with a Secret as such.
pub(crate) fn defects(secret: &Secret) -> Vec<Defect> {
    let malformed = secret.data.iter().filter(|(_, text)| decode(text).is_none());
    malformed
        .map(|(key, _)| {
            let message = "the value is not base64; encode it, or write it under stringData".to_owned();
            (format!("data.{key}"), message)
        })
        .collect()
}

/// The public key that a reference names, as PEM text.
pub(crate) fn public_key(
    input: &Input,
    namespace: &str,
    reference: &SecretKeyReference,
) -> Result<String, Unresolved> {
    let SecretKeyReference { name, key } = reference;
    let secret = find(input, namespace, name)?;
    let invalid = |why: &str| Unresolved::new("InvalidSecret", format!("Secret {namespace}/{name}: {why}"));
    let bytes = value(secret, key).map_err(|why| invalid(&why))?;
    let text = String::from_utf8(bytes).map_err(|_| invalid(&format!("{key} is not text")))?;
    match text.parse::<Signature>() {
        Ok(signature) => Ok(signature.public_key),
        Err(error) => Err(invalid(&format!("{key}: {error}"))),
    }
}

/// Who we are to the registry of an OCI reference, by a Secret with registry credentials.
pub(crate) fn pull_secret(
    input: &Input,
    namespace: &str,
    name: &str,
    reference: &str,
) -> Result<PullSecret, Unresolved> {
    let secret = find(input, namespace, name)?;
    let invalid = |why: &str| Unresolved::new("InvalidSecret", format!("Secret {namespace}/{name}: {why}"));
    if secret.type_.as_deref() != Some(DOCKER_CONFIG_TYPE) {
        return Err(invalid(&format!("its type must be {DOCKER_CONFIG_TYPE}")));
    }
    let bytes = value(secret, DOCKER_CONFIG_KEY).map_err(|why| invalid(&why))?;
    // The parser's own error would show a part of the text.
    let config: DockerConfig = serde_json::from_slice(&bytes).map_err(|_| {
        invalid(&format!(
            "{DOCKER_CONFIG_KEY} is no registry configuration in JSON"
        ))
    })?;
    let (host, repository) = split(reference);
    let candidates = config.auths.iter().filter_map(|(key, entry)| {
        let (its_host, path) = split(key);
        let is_ours = its_host == host && covers(path, repository);
        is_ours.then_some((path.len(), entry))
    });
    let Some((_, entry)) = candidates.max_by_key(|(length, _)| *length) else {
        return Err(invalid(&format!(
            "{DOCKER_CONFIG_KEY} has no entry for registry {host}"
        )));
    };
    entry.credentials().ok_or_else(|| {
        invalid(&format!(
            "{DOCKER_CONFIG_KEY}: the entry for registry {host} has neither username and password nor auth"
        ))
    })
}

/// Registry credentials as `docker login` writes them; what else there is, is not read.
#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerAuth>,
}

#[derive(Deserialize)]
struct DockerAuth {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    /// `username:password` in base64.
    #[serde(default)]
    auth: String,
}

impl DockerAuth {
    fn credentials(&self) -> Option<PullSecret> {
        if !self.username.is_empty() && !self.password.is_empty() {
            return Some(PullSecret {
                username: self.username.clone(),
                password: self.password.clone(),
            });
        }
        let text = String::from_utf8(decode(&self.auth)?).ok()?;
        let (username, password) = text.split_once(':')?;
        (!username.is_empty()).then(|| PullSecret {
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }
}

fn find<'a>(input: &'a Input, namespace: &str, name: &str) -> Result<&'a Secret, Unresolved> {
    let missing = || Unresolved::new("SecretNotFound", format!("there is no Secret {namespace}/{name}"));
    input.secret(namespace, name).ok_or_else(missing)
}

/// The value of a key, or why there is none.
fn value(secret: &Secret, key: &str) -> Result<Vec<u8>, String> {
    if let Some(text) = secret.string_data.get(key) {
        return Ok(text.clone().into_bytes());
    }
    let text = secret.data.get(key).ok_or_else(|| format!("it has no {key}"))?;
    decode(text).ok_or_else(|| format!("{key} is not base64"))
}

/// Splits an OCI reference, or a key of registry credentials, into host and path. Keys may be URLs with the
/// version of the registry's API.
fn split(text: &str) -> (&str, &str) {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    let path = path.trim_end_matches('/');
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    let host = match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    };
    (host, path)
}

/// Whether credentials for a path are meant for a repository, which ends at its tag or digest.
fn covers(path: &str, repository: &str) -> bool {
    match repository.strip_prefix(path) {
        Some(rest) => path.is_empty() || rest.is_empty() || rest.starts_with(['/', ':', '@']),
        None => false,
    }
}

/// Base64 as Kubernetes takes it: line ends do not count.
fn decode(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text: String = text.chars().filter(|it| !matches!(it, '\r' | '\n')).collect();
    GeneralPurpose::new(&STANDARD, config).decode(text).ok()
}

#[cfg(test)]
mod tests;

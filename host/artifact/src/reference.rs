//! The name of an artifact in a registry: `registry/repository:tag`, or with a digest. Pure.

use std::fmt;
use std::str::FromStr;

use crate::Digest;

/// Docker Hub's name in references is not the host that serves it.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// What a reference without tag and digest means, as everywhere.
const DEFAULT_TAG: &str = "latest";

/// The OCI distribution specification's limit.
const MAX_TAG: usize = 128;

/// More than any registry takes; keeps messages and URLs short.
const MAX_REFERENCE: usize = 512;

/// A parsed reference. Its parts hold nothing that could change the path of a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    version: Version,
}

/// Which manifest of the repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// May name another manifest tomorrow.
    Tag(String),
    /// Names one manifest for ever.
    Digest(Digest),
}

/// A text that is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an OCI reference: {problem}")]
pub struct NotAReference {
    text: String,
    problem: &'static str,
}

impl Reference {
    /// Host and port as written; `docker.io` for Docker Hub.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Host and port to connect to.
    #[must_use]
    pub fn host(&self) -> &str {
        match self.registry.as_str() {
            DOCKER_HUB => DOCKER_HUB_HOST,
            other => other,
        }
    }

    /// The repository's path in the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag or digest.
    #[must_use]
    pub const fn version(&self) -> &Version {
        &self.version
    }

    /// The same repository at a digest: what a tag meant at one moment.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self {
            version: Version::Digest(digest),
            ..self.clone()
        }
    }
}

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        parse(text).map_err(|problem| NotAReference {
            text: text.chars().take(100).collect(),
            problem,
        })
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    if text.len() > MAX_REFERENCE {
        return Err("it is longer than 512 characters");
    }
    let text = text.strip_prefix("oci://").unwrap_or(text);
    let (registry, rest) = text
        .split_once('/')
        .ok_or("name the registry too, as in registry.example/team/plugin:1.0")?;
    if !(registry.contains(['.', ':']) || registry == "localhost") {
        return Err("the first part must be a registry's host, as in docker.io/team/plugin:1.0");
    }
    if !is_authority(registry) {
        return Err("the registry must be a lower-case host, with a port if needed");
    }
    let (rest, digest) = match rest.split_once('@') {
        None => (rest, None),
        Some((rest, digest)) => {
            let digest = digest
                .parse()
                .map_err(|_| "after @ write sha256: and 64 lower-case hexadecimal digits")?;
            (rest, Some(digest))
        }
    };
    let (repository, tag) = match rest.split_once(':') {
        None => (rest, None),
        Some((repository, tag)) if is_tag(tag) => (repository, Some(tag)),
        Some(_) => {
            return Err("a tag has at most 128 letters, digits, `_`, `.` and `-`, the first no `.` or `-`");
        }
    };
    if !repository.split('/').all(is_component) {
        return Err(
            "a repository's parts are lower-case letters and digits, joined by `.`, `_`, `__` or dashes",
        );
    }
    let repository = if registry == DOCKER_HUB && !repository.contains('/') {
        format!("library/{repository}")
    } else {
        repository.to_owned()
    };
    Ok(Reference {
        registry: registry.to_owned(),
        repository,
        // With both, the digest decides and the tag is a comment, as everywhere.
        version: digest.map_or_else(
            || Version::Tag(tag.unwrap_or(DEFAULT_TAG).to_owned()),
            Version::Digest,
        ),
    })
}

/// Whether a text is `host` or `host:port`, in lower case.
pub(crate) fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            return rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut separator: Vec<u8> = Vec::new();
    let mut started = false;
    for byte in text.bytes() {
        if alphanumeric(byte) {
            let fits = matches!(separator.as_slice(), [] | [b'.'] | [b'_'] | [b'_', b'_'])
                || separator.iter().all(|byte| *byte == b'-');
            if !fits || (!started && !separator.is_empty()) {
                return false;
            }
            separator.clear();
            started = true;
        } else if matches!(byte, b'.' | b'_' | b'-') {
            separator.push(byte);
        } else {
            return false;
        }
    }
    started && separator.is_empty()
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.registry, self.repository, self.version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, ":{tag}"),
            Self::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn check(text: &str, expect: &str) {
        let parsed = text.parse::<Reference>().map(|reference| reference.to_string());
        assert_eq!(parsed.as_deref(), Ok(expect), "{text}");
    }

    fn check_refused(text: &str) {
        assert!(text.parse::<Reference>().is_err(), "{text}");
    }

    #[test]
    fn a_reference_names_registry_repository_and_version() {
        check("ghcr.io/team/geo:1.2", "ghcr.io/team/geo:1.2");
        check("oci://ghcr.io/team/geo:1.2", "ghcr.io/team/geo:1.2");
        check("localhost/geo", "localhost/geo:latest");
        check("127.0.0.1:5000/a/b/c:v1", "127.0.0.1:5000/a/b/c:v1");
        check("[::1]:5000/a:v1", "[::1]:5000/a:v1");
        check("r.example/a-b/c__d/e.f:V-1_x.y", "r.example/a-b/c__d/e.f:V-1_x.y");
    }

    #[test]
    fn a_digest_decides_over_a_tag() {
        check(&format!("r.example/a@{DIGEST}"), &format!("r.example/a@{DIGEST}"));
        check(
            &format!("r.example/a:v1@{DIGEST}"),
            &format!("r.example/a@{DIGEST}"),
        );
    }

    #[test]
    fn docker_hub_has_a_host_of_another_name() {
        let reference: Reference = "docker.io/geo:1".parse().expect("valid");
        assert_eq!(reference.host(), "registry-1.docker.io");
        assert_eq!(reference.repository(), "library/geo");
        assert_eq!(reference.registry(), "docker.io");
    }

    #[test]
    fn nothing_that_could_bend_a_url_is_part_of_a_reference() {
        for text in [
            "",
            "geo",
            "geo:1",
            "team/geo:1",
            "ghcr.io/",
            "ghcr.io//a",
            "ghcr.io/a/../b",
            "ghcr.io/./a",
            "ghcr.io/a?b",
            "ghcr.io/a#b",
            "ghcr.io/a%2fb",
            "ghcr.io/A",
            "GHCR.io/a",
            "user@ghcr.io/a",
            "ghcr.io:0/a",
            "ghcr.io:99999/a",
            "ghcr.io:+80/a",
            "ghcr..io/a",
            "ghcr.io/a:",
            "ghcr.io/a:.x",
            "ghcr.io/a:x/y",
            "ghcr.io/a@sha256:1",
            "ghcr.io/a@sha512:00",
            "ghcr.io/a_-b",
            "ghcr.io/-a",
            "ghcr.io/a-",
            "ghcr.io/a..b",
            "ghcr.io/a b",
            "[::zz]:1/a",
            "ghcr.io/é",
        ] {
            check_refused(text);
        }
        check_refused(&format!("ghcr.io/a:{}", "t".repeat(129)));
        check_refused(&format!("ghcr.io/{}", "a".repeat(600)));
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_is_written_back_as_the_same_reference(
            text in "(ghcr\\.io|localhost|[a-z.:0-9\\[\\]]{1,8})/[a-zA-Z0-9._/:@-]{0,20}"
        ) {
            if let Ok(reference) = text.parse::<Reference>() {
                assert_eq!(reference.to_string().parse(), Ok(reference.clone()));
                // Dots are part of tags; a part of a path that is only dots is not.
                assert!(!reference.to_string().split('/').any(|part| part == ".."));
            }
        }
    }
}

//! Where the bytes of plugins come from. What is written here is checked for form only; nothing is fetched.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use http::uri::Authority;

use crate::Hostname;

/// Where a plugin's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PluginSource {
    /// Embedded in the gateway, by name.
    Builtin(String),
    /// A file, by absolute path; watched for changes.
    File(PathBuf),
    /// A web server.
    Http(HttpSource),
    /// An OCI registry.
    Oci(OciSource),
}

/// A plugin on a web server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpSource {
    /// An `http` or `https` URL with a host and without user information.
    pub url: String,
}

impl HttpSource {
    /// Whether anyone on the way could exchange the bytes, so that they must be pinned by digest.
    pub fn needs_digest(&self) -> bool {
        let Ok(uri) = self.url.parse::<Uri>() else {
            return true;
        };
        uri.scheme_str() != Some("https") && !uri.host().is_some_and(is_loopback)
    }
}

impl FromStr for HttpSource {
    type Err = HttpSourceError;

    fn from_str(text: &str) -> Result<Self, HttpSourceError> {
        let malformed = || HttpSourceError::Malformed(text.to_owned());
        // The error must not repeat a password.
        let authority = text.split_once("://").map(|(_, rest)| rest).unwrap_or(text);
        let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(HttpSourceError::UserInformation);
        }
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let is_fetched = matches!(uri.scheme_str(), Some("http" | "https"));
        let is_absolute = uri.authority().is_some_and(is_host_and_port);
        match is_fetched && is_absolute && !text.contains('#') {
            true => Ok(Self { url: text.to_owned() }),
            false => Err(malformed()),
        }
    }
}

/// Why a URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpSourceError {
    /// Not an absolute URL of a scheme that is fetched.
    #[error("{0:?} is not understood; write something like https://example.com/plugin.wasm")]
    Malformed(String),
    /// A URL is shown in logs and statuses.
    #[error("a URL must not hold a user name or password; use an OCI registry with a pull secret")]
    UserInformation,
}

/// A plugin in an OCI registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OciSource {
    /// `registry/repository:tag`, `registry/repository@sha256:<hex>`, or both, where the digest counts.
    pub reference: String,
    /// How often the tag is resolved again, at least every second apart; `None` for a digest, which never
    /// changes.
    pub poll: Option<Duration>,
    /// Who we are to the registry; nobody when absent.
    pub pull_secret: Option<PullSecret>,
    /// Without TLS.
    pub plain_http: bool,
}

impl OciSource {
    /// How often a tag is resolved again when nothing is said.
    pub const DEFAULT_POLL: Duration = Duration::from_secs(300);
    /// The shortest time between two resolutions of a tag.
    pub const MIN_POLL: Duration = Duration::from_secs(1);

    /// Checks a reference and fills in the defaults: a tag is polled, there is no secret, and TLS is used.
    ///
    /// # Errors
    /// When it lacks a registry, a repository, or both tag and digest.
    pub fn new(reference: &str) -> Result<Self, OciSourceError> {
        check(reference).map_err(|why| OciSourceError {
            reference: reference.to_owned(),
            why,
        })?;
        Ok(Self {
            reference: reference.to_owned(),
            poll: (!reference.contains('@')).then_some(Self::DEFAULT_POLL),
            pull_secret: None,
            plain_http: false,
        })
    }

    /// The registry's host, with its port when one is written.
    pub fn registry(&self) -> &str {
        self.reference.split('/').next().unwrap_or_default()
    }

    /// Whether a digest stands in the reference, so that what it names never changes.
    pub fn is_pinned(&self) -> bool {
        self.reference.contains('@')
    }

    /// Whether anyone on the way could exchange the bytes or read the password.
    pub fn is_exposed(&self) -> bool {
        self.plain_http && !is_loopback(host_of(self.registry()))
    }
}

/// Why a reference is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reference:?} {why}; write registry/repository:tag or registry/repository@sha256:<hex>")]
pub struct OciSourceError {
    reference: String,
    why: &'static str,
}

/// Who we are to a registry.
#[derive(Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub struct PullSecret {
    pub username: String,
    pub password: String,
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullSecret")
            .field("username", &self.username)
            .field("password", &"(redacted)")
            .finish()
    }
}

/// Why a reference is malformed, when it is.
fn check(reference: &str) -> Result<(), &'static str> {
    let (rest, digest) = match reference.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (reference, None),
    };
    let (registry, rest) = rest.split_once('/').ok_or("names no registry")?;
    let (repository, tag) = match rest.split_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (rest, None),
    };
    if !is_registry(registry) {
        Err("names no registry")
    } else if repository.len() > 255 || !repository.split('/').all(is_path_component) {
        Err("has a malformed repository")
    } else if tag.is_some_and(|it| !is_tag(it)) {
        Err("has a malformed tag")
    } else if digest.is_some_and(|it| !is_digest(it)) {
        Err("has a malformed digest")
    } else if tag.is_none() && digest.is_none() {
        Err("has neither tag nor digest")
    } else {
        Ok(())
    }
}

/// Whether what is sent there stays on this machine.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_name = host.eq_ignore_ascii_case("localhost");
    is_name || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Takes the port away.
fn host_of(registry: &str) -> &str {
    match registry.strip_prefix('[').and_then(|it| it.split_once(']')) {
        Some((address, _)) => address,
        None => registry.split(':').next().unwrap_or_default(),
    }
}

/// A host looks like one, so that `library/plugin:1` is not taken for a registry called `library`.
fn is_registry(text: &str) -> bool {
    let looks_like_one = text == "localhost" || text.contains(['.', ':']);
    looks_like_one && text.parse().is_ok_and(|authority| is_host_and_port(&authority))
}

/// Whether there is a host, and a valid port when there is any.
fn is_host_and_port(authority: &Authority) -> bool {
    let (text, host) = (authority.as_str(), authority.host());
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_name = matches!(host.parse(), Ok(Hostname::Exact(_)));
    let has_valid_port = text == host || authority.port_u16().is_some_and(|it| it > 0);
    (is_name || bare.parse::<IpAddr>().is_ok()) && has_valid_port && !text.contains('@')
}

/// A part of a repository's name, as the distribution specification has it.
fn is_path_component(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edge = |b: Option<&u8>| b.copied().is_some_and(is_plain);
    edge(text.as_bytes().first())
        && edge(text.as_bytes().last())
        && text.bytes().all(|b| is_plain(b) || b"._-".contains(&b))
}

fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || b".-".contains(&b))
}

fn is_digest(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:");
    hex.is_some_and(|it| {
        it.len() == 64
            && it
                .bytes()
                .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
    })
}

#[cfg(test)]
mod tests;

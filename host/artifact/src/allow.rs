//! Which registries and servers artifacts may come from. Pure.

use url::Url;

use crate::Reference;
use crate::reference::is_authority;

/// Prefixes of `host[:port]/path`, matched by whole parts of the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList {
    prefixes: Vec<String>,
}

/// A text that would never match anything, and so would forbid what it means to allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no entry of an allow-list; write a lower-case host, with port and the beginning of a path if needed, \
     as in ghcr.io/team"
)]
pub struct NotAnEntry {
    text: String,
}

impl AllowList {
    /// Takes entries such as `ghcr.io`, `ghcr.io/team` or `127.0.0.1:5000`. No entries allow everything.
    ///
    /// # Errors
    /// When an entry does not start with a host: one with a scheme, for example.
    pub fn new(entries: impl IntoIterator<Item = String>) -> Result<Self, NotAnEntry> {
        let check = |entry: String| {
            let prefix = entry.trim_end_matches('/');
            let (host, path) = prefix.split_once('/').unwrap_or((prefix, "a"));
            if is_authority(host) && !path.split('/').any(|part| matches!(part, "" | "." | "..")) {
                Ok(prefix.to_owned())
            } else {
                Err(NotAnEntry { text: entry })
            }
        };
        let prefixes = entries.into_iter().map(check).collect::<Result<_, _>>()?;
        Ok(Self { prefixes })
    }

    /// Whether a registry's repository may be used.
    #[must_use]
    pub fn allows_reference(&self, reference: &Reference) -> bool {
        self.allows(&format!("{}/{}", reference.registry(), reference.repository()))
    }

    /// Whether a URL may be fetched: its host, with the port where it is not the scheme's own, and its path.
    #[must_use]
    pub fn allows_url(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else {
            return self.prefixes.is_empty();
        };
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        // Servers disagree on what an encoded slash or dot means, so such a path matches whole hosts only.
        let path = if url.path().contains('%') { "/" } else { url.path() };
        self.allows(&format!("{host}{port}{path}"))
    }

    fn allows(&self, name: &str) -> bool {
        self.prefixes.is_empty()
            || self.prefixes.iter().any(|prefix| {
                name.strip_prefix(prefix.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> AllowList {
        AllowList::new(entries.iter().map(|entry| (*entry).to_owned())).expect("entries")
    }

    fn check(entries: &[&str], reference: &str, expect: bool) {
        let reference = reference.parse().expect("valid");
        assert_eq!(
            list(entries).allows_reference(&reference),
            expect,
            "{entries:?} {reference}"
        );
    }

    fn check_url(entries: &[&str], url: &str, expect: bool) {
        let url = Url::parse(url).expect("valid");
        assert_eq!(list(entries).allows_url(&url), expect, "{entries:?} {url}");
    }

    #[test]
    fn an_entry_that_could_never_match_is_refused() {
        for entry in [
            "",
            "/",
            "https://ghcr.io",
            "GHCR.io",
            "ghcr.io//a",
            "ghcr.io/../a",
            "ghcr.io:port",
            "*.example",
        ] {
            assert!(AllowList::new([entry.to_owned()]).is_err(), "{entry}");
        }
    }

    #[test]
    fn an_empty_list_allows_everything() {
        check(&[], "ghcr.io/team/geo:1", true);
        check_url(&[], "https://files.example/geo.wasm", true);
    }

    #[test]
    fn an_entry_is_a_registry_or_whole_parts_of_a_repository() {
        check(&["ghcr.io"], "ghcr.io/team/geo:1", true);
        check(&["ghcr.io/team"], "ghcr.io/team/geo:1", true);
        check(&["ghcr.io/team/"], "ghcr.io/team/geo:1", true);
        check(&["ghcr.io/team/geo"], "ghcr.io/team/geo:1", true);
        check(&["quay.io", "ghcr.io/team"], "ghcr.io/other/geo:1", false);
        check(&["ghcr.io/team"], "ghcr.io/team2/geo:1", false);
        check(&["ghcr.io"], "ghcr.io.evil.example/team/geo:1", false);
        check(&["127.0.0.1"], "127.0.0.1:5000/geo:1", false);
        check(&["docker.io/library"], "docker.io/geo:1", true);
    }

    #[test]
    fn urls_are_matched_by_host_port_and_path() {
        check_url(&["files.example"], "https://files.example/geo.wasm", true);
        check_url(&["files.example"], "https://files.example:8443/geo.wasm", false);
        check_url(&["files.example/a"], "https://files.example/a/geo.wasm", true);
        check_url(
            &["files.example/a"],
            "https://files.example/a/../b/geo.wasm",
            false,
        );
        check_url(
            &["files.example/a"],
            "https://files.example/a/..%2fb/geo.wasm",
            false,
        );
        check_url(&["files.example"], "https://evil.example/files.example", false);
    }
}

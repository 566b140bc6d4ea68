//! What a `FILE|REFERENCE|URL` of the command line means.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use weir_artifact::{Reference, Source};

use super::login;
use crate::args::Registry;

/// A reference or a URL.
///
/// # Errors
/// When it is neither, or a login is there that cannot be used.
pub(super) fn remote(text: &str, registry: &Registry) -> anyhow::Result<Source> {
    if text.starts_with("http://") || text.starts_with("https://") {
        if registry.username.is_some() {
            bail!("{text}: --username is for registries; a web server is asked without a login");
        }
        return Ok(Source::Http { url: text.to_owned() });
    }
    let reference: Reference = text.parse().map_err(|error| anyhow!("{error}"))?;
    Ok(Source::Oci {
        reference: text.to_owned(),
        plain_http: registry.plain_http,
        credentials: login::find(reference.registry(), registry.username.as_deref())?,
    })
}

/// The same, or a file: one that is there, or what only a file can be called.
///
/// # Errors
/// As [`remote`].
pub(super) fn any(text: &str, registry: &Registry) -> anyhow::Result<Source> {
    let path = Path::new(text);
    let looks_like_a_file =
        text.starts_with(['.', '/']) || (text.ends_with(".wasm") && !text.contains("://"));
    if path.is_file() || looks_like_a_file {
        return Ok(Source::File {
            path: PathBuf::from(text),
        });
    }
    remote(text, registry).map_err(|error| match text.contains("://") || text.contains(':') {
        true => error,
        false => anyhow!("{text}: there is no such file, and as a reference: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        Registry {
            username: None,
            plain_http: true,
            ca_file: None,
        }
    }

    #[test]
    fn a_source_is_told_by_its_look() {
        let check = |text: &str, expect: &str| {
            let source = any(text, &registry()).unwrap();
            let found = match source {
                Source::File { .. } => "file",
                Source::Http { .. } => "http",
                Source::Oci { .. } => "oci",
            };
            assert_eq!(found, expect, "{text}");
        };
        check("./geo", "file");
        check("/srv/geo", "file");
        check("missing.wasm", "file");
        check("https://files.example/geo.wasm", "http");
        check("registry.example/team/geo:1", "oci");
        check("registry.example/team/geo.wasm:1", "oci");
        check("Cargo.toml", "file");
    }

    #[test]
    fn what_is_nothing_of_all_says_what_was_tried() {
        let error = any("geo", &registry()).unwrap_err().to_string();
        assert!(
            error.starts_with("geo: there is no such file, and as a reference: "),
            "{error}"
        );
        assert!(any("ftp://a/b", &registry()).is_err());
    }
}

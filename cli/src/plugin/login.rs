//! Who logs in to a registry: the user of the command line, or the one whom the file of `docker login` has. Credential
//! helpers are programs of others, so they are not run.

use std::collections::HashMap;
use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use weir_artifact::Credentials;

/// The login for a registry; `None` where nobody has one. Reads standard input when there is a user.
///
/// # Errors
/// When there is no password, or the file cannot be read or wants a credential helper.
pub(super) fn find(registry: &str, username: Option<&str>) -> anyhow::Result<Option<Credentials>> {
    match username {
        Some(user) => password(io::stdin().lock(), io::stdin().is_terminal()).map(|password| {
            Some(Credentials {
                user: user.to_owned(),
                password,
            })
        }),
        None => match file() {
            Some(path) => of_file(&path, registry),
            None => Ok(None),
        },
    }
}

fn password(mut input: impl BufRead, is_terminal: bool) -> anyhow::Result<String> {
    if is_terminal {
        bail!(
            "--username: the password is read from standard input; pipe it in, such as `… --username ci <token.txt`"
        );
    }
    let mut line = String::new();
    input
        .read_line(&mut line)
        .context("--username: the password on standard input cannot be read")?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!(
            "--username: there is no password on standard input; pipe it in, such as `… --username ci <token.txt`"
        );
    }
    Ok(password.to_owned())
}

/// What `docker login` writes, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: HashMap<String, Entry>,
    #[serde(default)]
    cred_helpers: HashMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
}

fn file() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|it| !it.is_empty())
            .map(PathBuf::from)
    };
    let folder = set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker")))?;
    Some(folder.join("config.json"))
}

fn of_file(path: &Path, registry: &str) -> anyhow::Result<Option<Credentials>> {
    let text = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| format!("{}: the logins cannot be read", path.display()))?,
    };
    // Without the parser's words: they could quote a password.
    let config: Config = serde_json::from_slice(&text)
        .map_err(|_| anyhow!("{}: it is not what `docker login` writes", path.display()))?;
    of_config(&config, registry).with_context(|| path.display().to_string())
}

fn of_config(config: &Config, registry: &str) -> anyhow::Result<Option<Credentials>> {
    let advice = "Weir runs no credential helpers; give --username and the password on standard input, or a \
                  DOCKER_CONFIG folder whose config.json has an `auths` entry with `auth`";
    if let Some(helper) = config.cred_helpers.get(registry) {
        bail!("the login for {registry} is kept by the credential helper {helper:?}; {advice}");
    }
    let Some(entry) = config.auths.iter().find(|(name, _)| is_for(name, registry)) else {
        return Ok(None);
    };
    match (credentials(entry.1), &config.creds_store) {
        (Ok(None), Some(store)) => {
            bail!("the login for {registry} is kept by the credential helper {store:?}; {advice}")
        }
        (Err(problem), _) => bail!(
            "auths[{:?}] {problem}; run `docker login {registry}` again",
            entry.0
        ),
        (Ok(found), _) => Ok(found),
    }
}

/// Old files have URLs in place of names, and Docker Hub goes by its first one.
fn is_for(name: &str, registry: &str) -> bool {
    let name = name.trim_start_matches("https://").trim_start_matches("http://");
    let host = name.split('/').next().unwrap_or_default();
    host == registry
        || (registry == "docker.io" && matches!(host, "index.docker.io" | "registry-1.docker.io"))
}

fn credentials(entry: &Entry) -> Result<Option<Credentials>, &'static str> {
    if !entry.identitytoken.is_empty() {
        return Err("has an identity token, which is not supported");
    }
    let (user, password) = if entry.auth.is_empty() {
        (entry.username.clone(), entry.password.clone())
    } else {
        let text = STANDARD
            .decode(&entry.auth)
            .ok()
            .and_then(|it| String::from_utf8(it).ok());
        let (user, password) = text
            .as_deref()
            .and_then(|it| it.split_once(':'))
            .ok_or("has an `auth` that is not base64 of USER:PASSWORD")?;
        // Some clients pad the password.
        (user.to_owned(), password.trim_end_matches('\0').to_owned())
    };
    Ok((!user.is_empty()).then_some(Credentials { user, password }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: &str, registry: &str) -> Result<Option<(String, String)>, String> {
        let config: Config = serde_json::from_str(config).unwrap();
        of_config(&config, registry)
            .map(|it| it.map(|it| (it.user, it.password)))
            .map_err(|error| error.to_string())
    }

    fn pair(user: &str, password: &str) -> Result<Option<(String, String)>, String> {
        Ok(Some((user.to_owned(), password.to_owned())))
    }

    #[test]
    fn a_login_is_found_by_the_name_of_the_registry() {
        // base64 of `ci:a:b`
        let config = r#"{"auths": {"r.example:5000": {"auth": "Y2k6YTpi"}, "https://old.example/v1/": {"auth": "Y2k6YTpi"}}}"#;
        assert_eq!(found(config, "r.example:5000"), pair("ci", "a:b"));
        assert_eq!(found(config, "old.example"), pair("ci", "a:b"));
        assert_eq!(found(config, "r.example"), Ok(None));
        assert_eq!(found("{}", "r.example"), Ok(None));
        let plain = r#"{"auths": {"https://index.docker.io/v1/": {"username": "u", "password": "p"}}}"#;
        assert_eq!(found(plain, "docker.io"), pair("u", "p"));
    }

    #[test]
    fn helpers_are_refused_only_where_they_have_the_login() {
        let helpers = r#"{"auths": {"a.example": {}}, "credsStore": "desktop", "credHelpers": {"b.example": "ecr-login"}}"#;
        for (registry, helper) in [("a.example", "desktop"), ("b.example", "ecr-login")] {
            let error = found(helpers, registry).unwrap_err();
            assert!(
                error.contains(registry) && error.contains(helper) && error.contains("--username"),
                "{error}"
            );
        }
        assert_eq!(
            found(helpers, "c.example"),
            Ok(None),
            "it is asked without a login"
        );
    }

    #[test]
    fn entries_that_cannot_be_used_are_named_without_their_secrets() {
        for entry in [
            r#"{"auth": "c2VjcmV0"}"#,
            r#"{"auth": "?"}"#,
            r#"{"identitytoken": "secret"}"#,
        ] {
            let error = found(&format!(r#"{{"auths": {{"r.example": {entry}}}}}"#), "r.example").unwrap_err();
            assert!(error.contains("docker login r.example"), "{error}");
            assert!(
                !error.contains("secret") && !error.contains("c2VjcmV0"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_password_is_the_first_line_of_standard_input() {
        assert_eq!(
            password(&b"open sesame\r\nmore"[..], false).unwrap(),
            "open sesame"
        );
        assert!(password(&b"\n"[..], false).is_err());
        assert!(
            password(&b"x"[..], true)
                .unwrap_err()
                .to_string()
                .contains("pipe it in")
        );
    }
}

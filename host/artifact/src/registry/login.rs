//! Logging in: with user and password, or with a token that a token service hands out for them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use url::Url;

use super::{Access, Challenge, Session};
use crate::transport::{Call, shown};
use crate::{Credentials, FetchError};

/// Tokens are a few kilobytes at most.
const MAX_TOKEN: u64 = 64 << 10;

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Session<'_> {
    /// Does what the challenge asks for; `None` when there is nothing to log in with.
    pub(super) async fn log_in(&self, challenge: &Challenge) -> Result<Option<HeaderValue>, FetchError> {
        match challenge {
            Challenge::Basic => self.credentials.map(|known| self.basic(known)).transpose(),
            Challenge::Bearer {
                realm,
                service,
                scope,
            } => {
                let url = self.token_url(realm, service.as_deref(), scope.as_deref())?;
                self.token(url).await.map(Some)
            }
        }
    }

    fn basic(&self, credentials: &Credentials) -> Result<HeaderValue, FetchError> {
        let Credentials { user, password } = credentials;
        // A colon would move the border between user and password.
        if user.contains(':') {
            return Err(self.login_error("the user's name has a colon in it"));
        }
        self.secret(&format!(
            "Basic {}",
            STANDARD.encode(format!("{user}:{password}"))
        ))
    }

    /// Asks the token service, anonymously where there are no credentials.
    async fn token(&self, url: Url) -> Result<HeaderValue, FetchError> {
        let mut call = Call::get(url);
        if let Some(credentials) = self.credentials {
            call.headers.insert(AUTHORIZATION, self.basic(credentials)?);
        }
        let service = shown(&call.url);
        // Redirects are not followed: the credentials are for the service that the registry named.
        let reply = self.client.send(call).await?.success().await?;
        let body = reply.collect("a token", MAX_TOKEN).await?;
        let token: Token = serde_json::from_slice(&body)
            .map_err(|_| self.login_error(&format!("{service} answered something that is no token")))?;
        let token = token
            .token
            .or(token.access_token)
            .filter(|token| !token.is_empty())
            .ok_or_else(|| self.login_error(&format!("{service} answered without a token")))?;
        self.secret(&format!("Bearer {token}"))
    }

    fn token_url(&self, realm: &str, service: Option<&str>, scope: Option<&str>) -> Result<Url, FetchError> {
        let mut url = Url::parse(realm)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.username().is_empty())
            .ok_or_else(|| self.login_error("its token service is not a URL"))?;
        if self.base.scheme() == "https" && url.scheme() != "https" {
            return Err(self.login_error("its token service is not encrypted, and the registry is"));
        }
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let ours = format!("repository:{}:{actions}", self.reference.repository());
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        // The registry's own words where it has some: it may know the repository by another name.
        query.append_pair("scope", scope.unwrap_or(&ours));
        drop(query);
        Ok(url)
    }

    fn secret(&self, text: &str) -> Result<HeaderValue, FetchError> {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| self.login_error("the credentials or the token have control characters in them"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn login_error(&self, problem: &str) -> FetchError {
        FetchError::Login {
            registry: self.reference.registry().to_owned(),
            problem: problem.to_owned(),
        }
    }
}

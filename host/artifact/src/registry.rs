//! The distribution API of one repository: manifests and blobs, each checked against the digest that names it.

mod challenge;
mod login;
mod upload;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use url::Url;

use self::challenge::Challenge;
use crate::manifest::{ACCEPTED, Descriptor};
use crate::transport::{Call, Client, Reply, shown};
use crate::{Credentials, Digest, FetchError, Limits, Reference, Version};

const CONTENT_DIGEST: &str = "docker-content-digest";

/// A conversation with a registry about one repository. Logs in when asked to, once for the whole conversation.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    client: &'a Client,
    limits: &'a Limits,
    reference: &'a Reference,
    base: Url,
    credentials: Option<&'a Credentials>,
    /// What the registry's answer to the login was. Sent to the registry alone.
    authorization: Option<HeaderValue>,
    access: Access,
}

/// What a token must permit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    Pull,
    Push,
}

/// A manifest as it was received.
#[derive(Clone, Debug)]
pub(crate) struct RawManifest {
    pub(crate) digest: Digest,
    pub(crate) bytes: Bytes,
    pub(crate) content_type: Option<String>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        client: &'a Client,
        limits: &'a Limits,
        reference: &'a Reference,
        plain_http: bool,
        credentials: Option<&'a Credentials>,
        access: Access,
    ) -> Result<Self, FetchError> {
        let scheme = if plain_http { "http" } else { "https" };
        let base = format!("{scheme}://{}/v2/{}/", reference.host(), reference.repository());
        let base = Url::parse(&base)
            .map_err(|error| FetchError::Request(format!("{reference} does not make a URL: {error}")))?;
        Ok(Self {
            client,
            limits,
            reference,
            base,
            credentials,
            authorization: None,
            access,
        })
    }

    /// The digest that the reference means now. Asks for the head only, which registries do not count as a pull;
    /// `None` when the registry does not say it that way.
    pub(crate) async fn resolve(&mut self) -> Result<Option<Digest>, FetchError> {
        let tag = match self.reference.version() {
            Version::Digest(digest) => return Ok(Some(*digest)),
            Version::Tag(tag) => tag.clone(),
        };
        let reply = self.send_manifest(Method::HEAD, &tag).await?;
        if reply.status() == StatusCode::METHOD_NOT_ALLOWED {
            return Ok(None);
        }
        let reply = reply.success().await?;
        Ok(reply.header(CONTENT_DIGEST).and_then(|text| text.parse().ok()))
    }

    /// Fetches a manifest by tag or digest.
    pub(crate) async fn manifest(&mut self, version: &Version) -> Result<RawManifest, FetchError> {
        self.find_manifest(version)
            .await?
            .ok_or_else(|| FetchError::Status {
                url: shown(&self.base),
                status: StatusCode::NOT_FOUND.as_u16(),
                code: Some("MANIFEST_UNKNOWN".into()),
                retry_after: None,
            })
    }

    /// Fetches a manifest that need not be there.
    pub(crate) async fn find_manifest(
        &mut self,
        version: &Version,
    ) -> Result<Option<RawManifest>, FetchError> {
        let (name, expected) = match version {
            Version::Tag(tag) => (tag.clone(), None),
            Version::Digest(digest) => (digest.to_string(), Some(*digest)),
        };
        let reply = self.send_manifest(Method::GET, &name).await?;
        if reply.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let reply = reply.success().await?;
        let content_type = reply.header(CONTENT_TYPE.as_str()).map(str::to_owned);
        let announced: Option<Digest> = reply.header(CONTENT_DIGEST).and_then(|text| text.parse().ok());
        let what = format!("the manifest {}", shown(reply.url()));
        let bytes = reply.collect(&what, self.limits.manifest_bytes).await?;
        let digest = Digest::of(&bytes);
        if let Some(expected) = expected.or(announced).filter(|expected| *expected != digest) {
            return Err(FetchError::Digest {
                what,
                expected,
                found: digest,
            });
        }
        Ok(Some(RawManifest {
            digest,
            bytes,
            content_type,
        }))
    }

    /// Downloads a blob whole, up to the limit, and checks its size and digest.
    pub(crate) async fn blob(&mut self, descriptor: &Descriptor, limit: u64) -> Result<Bytes, FetchError> {
        let Descriptor { digest, size, .. } = descriptor;
        let what = format!(
            "the blob {}/{}@{digest}",
            self.reference.registry(),
            self.reference.repository()
        );
        if *size > limit {
            return Err(FetchError::TooLarge { what, limit });
        }
        let url = self.url(&format!("blobs/{digest}"))?;
        let reply = self.call(Call::get(url)).await?.success().await?;
        // The manifest says how much there is: more is a lie, whatever the general limit.
        let bytes = reply.collect(&what, *size).await?;
        if bytes.len() as u64 != *size {
            let problem = format!("it has {} bytes and not {size}", bytes.len());
            return Err(FetchError::malformed(what, problem));
        }
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(FetchError::Digest {
                what,
                expected: *digest,
                found,
            });
        }
        Ok(bytes)
    }

    /// What the referrers API says about a manifest; `None` where the registry does not have it.
    pub(crate) async fn referrers(&mut self, digest: Digest) -> Result<Option<RawManifest>, FetchError> {
        let url = self.url(&format!("referrers/{digest}"))?;
        let reply = self.call(Call::get(url)).await?;
        if matches!(reply.status().as_u16(), 400 | 404 | 405) {
            return Ok(None);
        }
        let reply = reply.success().await?;
        let content_type = reply.header(CONTENT_TYPE.as_str()).map(str::to_owned);
        let bytes = reply
            .collect("the list of referrers", self.limits.manifest_bytes)
            .await?;
        Ok(Some(RawManifest {
            digest: Digest::of(&bytes),
            bytes,
            content_type,
        }))
    }

    async fn send_manifest(&mut self, method: Method, name: &str) -> Result<Reply, FetchError> {
        let mut call = Call::new(method, self.url(&format!("manifests/{name}"))?);
        call.headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        self.call(call).await
    }

    /// Sends a request to the registry, logging in if it asks, and follows redirects without the login.
    async fn call(&mut self, call: Call) -> Result<Reply, FetchError> {
        let (call, reply) = self.call_here(call).await?;
        self.client.follow(call, reply).await
    }

    /// As `call`, without redirects.
    async fn call_here(&mut self, mut call: Call) -> Result<(Call, Reply), FetchError> {
        self.authorize(&mut call);
        let reply = self.client.send(call.clone()).await?;
        // A login is for the registry that the reference names: nobody else can ask for one.
        if reply.status() != StatusCode::UNAUTHORIZED || call.url.origin() != self.base.origin() {
            return Ok((call, reply));
        }
        let Some(challenge) = Challenge::of(&reply) else {
            return Ok((call, reply));
        };
        let Some(authorization) = self.log_in(&challenge).await? else {
            return Ok((call, reply));
        };
        self.authorization = Some(authorization);
        self.authorize(&mut call);
        let reply = self.client.send(call.clone()).await?;
        Ok((call, reply))
    }

    fn authorize(&self, call: &mut Call) {
        if let Some(authorization) = &self.authorization
            && call.url.origin() == self.base.origin()
        {
            call.headers.insert(AUTHORIZATION, authorization.clone());
        }
    }

    fn url(&self, path: &str) -> Result<Url, FetchError> {
        self.base
            .join(path)
            .map_err(|error| FetchError::Request(format!("{path} does not make a URL: {error}")))
    }
}

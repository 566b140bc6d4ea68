//! Capability `upstream`: HTTP calls to granted backends. Which cluster a backend is, the grant says; how it is
//! reached, the proxy knows.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use wasmtime::{AsContextMut, Result};
use weir_filter::{CalloutError, CalloutRequest, CalloutResponse, Callouts};

use super::fields::is_framing;
use super::{Caller, Functions};
use crate::bindings::types::Field;
use crate::bindings::upstream::{Answer, Call, Error};
use crate::budget::SLICE;
use crate::state::State;

pub(super) fn link(functions: &mut Functions<'_>) -> Result<()> {
    functions.func_wrap_async("fetch", |store, (backend, call): (String, Call)| {
        Box::new(async move { Ok((fetch(store, &backend, call).await?,)) })
    })
}

async fn fetch(
    mut store: Caller<'_>,
    backend: &str,
    call: Call,
) -> Result<std::result::Result<Answer, Error>> {
    let state = store.data_mut();
    state.meter.keep(size(&call.headers) + call.body.len())?;
    let asked = Way::to(state, backend).and_then(|way| Ok((request(call, &way)?, way)));
    let (request, way) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            counted(&store, as_str(error));
            return Ok(Err(error));
        }
    };
    let answered = waited(&mut store, way.callouts.fetch(&way.cluster, request)).await?;
    counted(&store, answered.as_ref().map_or_else(|it| it.as_str(), |_| "ok"));
    match answered {
        Ok(response) => {
            store.data_mut().meter.keep(response.body.len())?;
            Ok(Ok(answer(response)))
        }
        Err(failed) => Ok(Err(error(failed))),
    }
}

/// A grant that was found: where a callout goes and what it may use.
pub(super) struct Way {
    pub(super) callouts: Arc<dyn Callouts>,
    pub(super) cluster: String,
    backend: String,
    timeout: Duration,
    largest: u64,
}

impl Way {
    /// The way to a backend that the current filter was granted. Counts as one callout.
    pub(super) fn to(state: &mut State, backend: &str) -> std::result::Result<Self, Error> {
        let Some(used) = state.current().map(Arc::clone) else {
            return Err(Error::NotGranted);
        };
        let Some(granted) = used.backends.iter().find(|it| it.name == backend) else {
            let backend: String = backend.chars().take(80).collect();
            tracing::warn!(
                filter = used.filter,
                backend,
                "a callout to a backend that is not granted"
            );
            return Err(Error::NotGranted);
        };
        if !state.exchange.count_callout(used.callouts) {
            return Err(Error::OverBudget);
        }
        // Outside an exchange, as in `configure`, there is no way.
        let callouts = state.exchange.callouts.clone().ok_or(Error::Connect)?;
        if granted.cluster.is_empty() {
            return Err(Error::Connect);
        }
        Ok(Self {
            callouts,
            cluster: granted.cluster.clone(),
            backend: granted.name.clone(),
            timeout: used.limits.timeout,
            largest: used.limits.body,
        })
    }

    /// The time a callout may take: what was asked, within the limit.
    pub(super) fn timeout(&self, millis: u32) -> Duration {
        match millis {
            0 => self.timeout,
            millis => Duration::from_millis(millis.into()).min(self.timeout),
        }
    }

    /// The largest body or message: what was asked, within the limit.
    pub(super) fn largest(&self, asked: u32) -> u64 {
        match asked {
            0 => self.largest,
            asked => u64::from(asked).min(self.largest),
        }
    }

    /// The host the endpoint sees when none is named: the backend's name where it can be one.
    pub(super) fn authority(&self, asked: &str) -> std::result::Result<String, Error> {
        if asked.is_empty() {
            let own = Some(&self.backend).filter(|it| is_host(it));
            return Ok(own.cloned().unwrap_or_default());
        }
        if is_host(asked) {
            Ok(asked.to_owned())
        } else {
            Err(Error::Invalid)
        }
    }
}

/// True for what a `host` field can have: a host and perhaps a port, without the user of an authority.
pub(super) fn is_host(text: &str) -> bool {
    text.parse::<Authority>().is_ok_and(|it| {
        let port = it.port().map_or(0, |port| 1 + port.as_str().len());
        it.host().len() + port == text.len()
    })
}

/// Counts a callout that is over.
pub(super) fn counted(store: &Caller<'_>, result: &'static str) {
    if let Some(used) = store.data().current() {
        used.telemetry.called_out(result);
    }
}

/// The name in metrics.
pub(super) const fn as_str(error: Error) -> &'static str {
    match error {
        Error::NotGranted => "not_granted",
        Error::Connect => "connect",
        Error::Timeout => "timeout",
        Error::TooLarge => "too_large",
        Error::Reset => "reset",
        Error::OverBudget => "over_budget",
        Error::Invalid => "invalid",
    }
}

/// Waits in the host: the time does not count as the guest's. What is there at once is no wait, and puts off neither
/// the guest's turn nor its deadline.
pub(super) async fn waited<T>(store: &mut Caller<'_>, work: impl Future<Output = T> + Send) -> Result<T> {
    let mut work = pin!(work);
    if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        return Ok(done);
    }
    store.data_mut().budget.pause()?;
    let done = work.await;
    let mut store = store.as_context_mut();
    store.data_mut().budget.resume();
    store.set_epoch_deadline(SLICE);
    Ok(done)
}

/// Fields that a guest may send; `None` for a malformed one. Framing is the gateway's.
pub(super) fn outgoing(fields: &[Field]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(fields.len().min(64));
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(&field.value).ok()?;
        if !is_framing(&name) && name != http::header::HOST {
            headers.try_append(name, value).ok()?;
        }
    }
    Some(headers)
}

/// Fields as a guest reads them.
pub(super) fn incoming(headers: &HeaderMap) -> Vec<Field> {
    let field = |(name, value): (&HeaderName, &HeaderValue)| Field {
        name: name.as_str().to_owned(),
        value: value.as_bytes().to_vec(),
    };
    headers.iter().map(field).collect()
}

/// Bytes that fields hold.
pub(super) fn size(fields: &[Field]) -> usize {
    fields.iter().map(|it| it.name.len() + it.value.len()).sum()
}

pub(super) const fn error(error: CalloutError) -> Error {
    match error {
        CalloutError::Connect => Error::Connect,
        CalloutError::Timeout => Error::Timeout,
        CalloutError::TooLarge => Error::TooLarge,
        CalloutError::Reset => Error::Reset,
        CalloutError::Invalid => Error::Invalid,
    }
}

fn request(call: Call, way: &Way) -> std::result::Result<CalloutRequest, Error> {
    let method: Method = call.method.parse().map_err(|_| Error::Invalid)?;
    let path: PathAndQuery = call.path.parse().map_err(|_| Error::Invalid)?;
    if method == Method::CONNECT || !call.path.starts_with('/') {
        return Err(Error::Invalid);
    }
    Ok(CalloutRequest {
        method,
        path: path.to_string(),
        authority: way.authority(&call.authority)?,
        headers: outgoing(&call.headers).ok_or(Error::Invalid)?,
        body: Bytes::from(call.body),
        timeout: way.timeout(call.timeout_ms),
        largest_response: way.largest(call.max_response),
    })
}

fn answer(response: CalloutResponse) -> Answer {
    Answer {
        status: response.status.as_u16(),
        headers: incoming(&response.headers),
        body: response.body.to_vec(),
        trailers: incoming(&response.trailers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_no_user_and_a_port_that_exists() {
        for text in ["a.example", "a.example:8080", "[::1]:80", "10.0.0.1"] {
            assert!(is_host(text), "{text}");
        }
        for text in [
            "",
            "user@a.example",
            "a.example:99999",
            "a.example:",
            "a b",
            "a/b",
            "a\r\nb",
        ] {
            assert!(!is_host(text), "{text}");
        }
    }
}

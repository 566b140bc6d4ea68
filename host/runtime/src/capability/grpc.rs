//! Capability `upstream`: gRPC to granted backends, over an HTTP/2 stream of the proxy's.

mod message;
mod status;
mod stream;

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderValue};
use http::uri::PathAndQuery;
use wasmtime::Result;
use weir_filter::{CalloutRequest, CalloutStream};

use super::upstream::{Way, as_str, counted, incoming, outgoing, size, waited};
use super::{Caller, Functions};
use crate::bindings::grpc::{Answer, Call, Received};
use crate::bindings::upstream::Error;
use crate::state::State;
use stream::GrpcStream;

#[cfg(fuzzing)]
pub(super) use message::{Decoder, Undecodable};
#[cfg(fuzzing)]
pub(super) use status::of_fields;

pub(super) fn link(functions: &mut Functions<'_>) -> Result<()> {
    functions.func_wrap_async(
        "unary",
        |store, (backend, call, message): (String, Call, Vec<u8>)| {
            Box::new(async move { Ok((unary(store, &backend, &call, message).await?,)) })
        },
    )?;
    functions.func_wrap("open", |store: Caller<'_>, (backend, call): (String, Call)| {
        Ok((open(store, &backend, &call)?,))
    })?;
    functions.func_wrap_async("send", |store, (id, message): (u32, Vec<u8>)| {
        Box::new(async move { Ok((send(store, id, message).await?,)) })
    })?;
    functions.func_wrap("finish", |mut store: Caller<'_>, (id,): (u32,)| {
        let exchange = &mut store.data_mut().exchange;
        if let Some(mut stream) = exchange.take_held::<GrpcStream>(id) {
            stream.finish();
            exchange.put_held(id, stream);
        }
        Ok(())
    })?;
    functions.func_wrap_async("receive", |store, (id,): (u32,)| {
        Box::new(async move { Ok((receive(store, id).await?,)) })
    })?;
    functions.func_wrap("cancel", |mut store: Caller<'_>, (id,): (u32,)| {
        drop(store.data_mut().exchange.take_held::<GrpcStream>(id));
        Ok(())
    })
}

type Outcome<T> = Result<std::result::Result<T, Error>>;

async fn unary(mut store: Caller<'_>, backend: &str, call: &Call, message: Vec<u8>) -> Outcome<Answer> {
    store
        .data_mut()
        .meter
        .keep(size(&call.metadata) + message.len())?;
    let (mut stream, timeout) = match start(store.data_mut(), backend, call, Some(&message)) {
        Ok(started) => started,
        Err(error) => {
            counted(&store, as_str(error));
            return Ok(Err(error));
        }
    };
    stream.finish();
    let answered = waited(&mut store, tokio::time::timeout(timeout, one(&mut stream))).await?;
    let answer = answered.unwrap_or(Err(Error::Timeout));
    counted(&store, answer.as_ref().map_or_else(|it| as_str(*it), |_| "ok"));
    if let Ok(Answer {
        message: Some(message),
        ..
    }) = &answer
    {
        store.data_mut().meter.keep(message.len())?;
    }
    Ok(answer)
}

/// Reads the one message of a unary call and its status.
async fn one(stream: &mut GrpcStream) -> std::result::Result<Answer, Error> {
    let mut only = None;
    loop {
        match stream.receive().await? {
            Received::Message(message) if only.is_none() => only = Some(message),
            // A second message breaks the protocol of a unary call.
            Received::Message(_) => return Err(Error::Reset),
            // And so does success without one.
            Received::End(status) if status.code == 0 && only.is_none() => return Err(Error::Reset),
            Received::End(status) => {
                return Ok(Answer {
                    message: only.filter(|_| status.code == 0),
                    metadata: incoming(stream.metadata()),
                    status,
                });
            }
        }
    }
}

fn open(mut store: Caller<'_>, backend: &str, call: &Call) -> Outcome<u32> {
    store.data_mut().meter.keep(size(&call.metadata) + STREAM_COST)?;
    let opened = start(store.data_mut(), backend, call, None);
    counted(&store, opened.as_ref().map_or_else(|it| as_str(*it), |_| "ok"));
    Ok(opened.map(|(stream, _)| store.data_mut().exchange.hold(stream)))
}

async fn send(mut store: Caller<'_>, id: u32, message: Vec<u8>) -> Outcome<()> {
    store.data_mut().meter.keep(message.len())?;
    let Some(mut stream) = store.data_mut().exchange.take_held::<GrpcStream>(id) else {
        return Ok(Err(Error::Invalid));
    };
    let timeout = stream.timeout();
    let sent = waited(&mut store, tokio::time::timeout(timeout, stream.send(&message))).await?;
    store.data_mut().exchange.put_held(id, stream);
    Ok(sent.unwrap_or(Err(Error::Timeout)))
}

async fn receive(mut store: Caller<'_>, id: u32) -> Outcome<Received> {
    let Some(mut stream) = store.data_mut().exchange.take_held::<GrpcStream>(id) else {
        return Ok(Err(Error::Invalid));
    };
    let timeout = stream.timeout();
    let received = waited(&mut store, tokio::time::timeout(timeout, stream.receive())).await?;
    store.data_mut().exchange.put_held(id, stream);
    let received = received.unwrap_or(Err(Error::Timeout));
    if let Ok(Received::Message(message)) = &received {
        store.data_mut().meter.keep(message.len())?;
    }
    Ok(received)
}

/// Opens the stream of a call, with its first message if it is known.
fn start(
    state: &mut State,
    backend: &str,
    call: &Call,
    first: Option<&[u8]>,
) -> std::result::Result<(GrpcStream, Duration), Error> {
    let way = Way::to(state, backend)?;
    let timeout = way.timeout(call.timeout_ms);
    let largest = way.largest(call.max_message);
    let request = CalloutRequest {
        method: Method::POST,
        path: path(call)?,
        authority: way.authority("")?,
        headers: metadata(call, first.map(|_| timeout))?,
        body: match first {
            Some(message) => message::encode(message).ok_or(Error::TooLarge)?,
            None => Bytes::new(),
        },
        timeout,
        largest_response: largest,
    };
    let stream: CalloutStream = way.callouts.stream(&way.cluster, request);
    Ok((GrpcStream::new(stream, largest, timeout), timeout))
}

fn path(call: &Call) -> std::result::Result<String, Error> {
    let is_name = |it: &str| {
        !it.is_empty()
            && it
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    if !is_name(&call.service) || !is_name(&call.method) {
        return Err(Error::Invalid);
    }
    let path = format!("/{}/{}", call.service, call.method);
    let path: PathAndQuery = path.parse().map_err(|_| Error::Invalid)?;
    Ok(path.to_string())
}

/// The fields of a call: the guest's, and those that the protocol asks for. A stream has no deadline of its own.
fn metadata(call: &Call, deadline: Option<Duration>) -> std::result::Result<http::HeaderMap, Error> {
    let mut headers = outgoing(&call.metadata).ok_or(Error::Invalid)?;
    let reserved: Vec<_> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("grpc-"))
        .cloned()
        .collect();
    for name in reserved {
        headers.remove(name);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    if let Some(deadline) = deadline {
        // At most eight digits are allowed; the limits keep it far below.
        let millis = deadline.as_millis().min(99_999_999);
        let value = HeaderValue::try_from(format!("{millis}m")).map_err(|_| Error::Invalid)?;
        headers.insert("grpc-timeout", value);
    }
    Ok(headers)
}

/// What an open stream costs the host, roughly.
const STREAM_COST: usize = 4 << 10;

//! One request in a guest: its instance is started, runs as long as somebody reads its answer, and ends with it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{HeaderValue, Request, Response, Uri, header};
use tokio::sync::oneshot;
use tokio::time::Sleep;
use wasmtime::Store;
use wasmtime::component::Resource;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::{HostOutgoingBody, HyperOutgoingBody};
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};
use weir_filter::{
    Callouts, Exchange, Facts, FailureReason, FilterError, HandlerError, HandlerRequest, HandlerResponse,
    RequestHead,
};

use super::body::Answer;
use super::upload::{Pump, Upload, bridge};
use super::wasi::Wasi;
use crate::budget::{Account, SLICE};
use crate::code::Code;
use crate::component::{Callee, Leased, error};
use crate::fault::Fault;
use crate::instance::store;
use crate::state::{State, Use};

/// A guest that was asked and has not answered.
pub(super) struct Starting {
    guest: Guest,
    head: oneshot::Receiver<Head>,
}

/// A guest at work. Dropping it ends it where it stands.
pub(super) struct Guest {
    running: Option<Running>,
    upload: Option<Pump>,
    account: Account,
    sleep: Option<Pin<Box<Sleep>>>,
    used: Arc<Use>,
    since: Instant,
}

type Head = Result<Response<HyperOutgoingBody>, ErrorCode>;
type Running = Pin<Box<dyn Future<Output = Result<(), Fault>>>>;

/// What an instance is started with.
struct Seed {
    code: Arc<Code>,
    used: Arc<Use>,
    calls_out: bool,
    callouts: Option<Arc<dyn Callouts>>,
    account: Account,
}

/// Takes the right to an instance and prepares its start.
pub(super) fn start(
    callee: &Arc<Callee>,
    calls_out: bool,
    request: HandlerRequest,
) -> Result<Starting, Fault> {
    let lease = Leased::without_instance(callee)?;
    let Callee { code, used, .. } = &**callee;
    let (sender, head) = oneshot::channel();
    let account = Account::default();
    let seed = Seed {
        code: Arc::clone(code),
        used: Arc::clone(used),
        calls_out,
        callouts: request.callouts.clone(),
        account: account.clone(),
    };
    let (request, pump) = incoming(request);
    let guest = Guest {
        running: Some(Box::pin(run(seed, lease, request, sender))),
        upload: Some(pump),
        account,
        sleep: None,
        used: Arc::clone(used),
        since: Instant::now(),
    };
    Ok(Starting { guest, head })
}

/// Starts an instance and throws it away.
pub(super) async fn try_start(code: &Arc<Code>, used: &Arc<Use>) -> Result<(), Fault> {
    let seed = Seed {
        code: Arc::clone(code),
        used: Arc::clone(used),
        calls_out: false,
        callouts: None,
        account: Account::default(),
    };
    seed.start().await.map(drop)
}

impl Starting {
    /// Runs the guest until it has answered with a head.
    pub(super) async fn answer(mut self) -> Result<HandlerResponse, HandlerError> {
        let mut ended = None;
        let head = poll_fn(|cx| {
            if ended.is_none()
                && let Poll::Ready(result) = self.guest.poll(cx)
            {
                ended = Some(result);
            }
            match Pin::new(&mut self.head).poll(cx) {
                Poll::Ready(Ok(head)) => Poll::Ready(Some(head)),
                Poll::Ready(Err(_)) if ended.is_some() => Poll::Ready(None),
                // It dropped the chance to answer and may still fail in a way that says more.
                Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
            }
        })
        .await;
        let used = Arc::clone(&self.guest.used);
        match (head, ended) {
            (Some(Ok(response)), ended) => {
                self.guest.progressed();
                Ok(Answer::response(response, self.guest, ended))
            }
            (Some(Err(code)), _) => Err(no_answer(&used, format!("it answered with the error {code:?}"))),
            (None, Some(Err(error))) => Err(error),
            (None, _) => Err(no_answer(&used, "it returned without an answer".to_owned())),
        }
    }
}

impl Guest {
    /// Moves the request's body and runs the guest; ready when it is over. Must not be asked again then.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), HandlerError>> {
        let Some(running) = &mut self.running else {
            return Poll::Pending;
        };
        let mut waits_for_client = false;
        if let Some(upload) = &mut self.upload {
            if let Poll::Ready(error) = upload.poll(cx) {
                self.end();
                return Poll::Ready(Err(HandlerError::RequestBody(error)));
            }
            if upload.has_moved() {
                self.account.renew();
                self.sleep = None;
            }
            waits_for_client = upload.waits_for_client();
        }
        self.account.resume();
        let ended = running.as_mut().poll(cx);
        self.account.pause();
        if let Poll::Ready(result) = ended {
            self.end();
            return Poll::Ready(result.map_err(|fault| HandlerError::Failed(error(&self.used, fault))));
        }
        if waits_for_client {
            self.sleep = None;
            return Poll::Pending;
        }
        self.poll_time(cx).map(Err)
    }

    /// A piece of the answer went to the client: limits of one call begin anew.
    pub(super) fn progressed(&mut self) {
        self.account.renew();
        self.sleep = None;
    }

    /// What is left to do after the answer; it needs no more of the request.
    pub(super) fn rest(mut self) -> Option<impl Future<Output = Result<(), FilterError>>> {
        self.running.as_ref()?;
        self.upload = None;
        self.progressed();
        Some(async move {
            match poll_fn(|cx| self.poll(cx)).await {
                Err(HandlerError::Failed(error)) => Err(error),
                Ok(()) | Err(HandlerError::RequestBody(_)) => Ok(()),
            }
        })
    }

    pub(super) fn used(&self) -> &Use {
        &self.used
    }

    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<HandlerError> {
        let timeout = self.used.limits.timeout;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.end();
        let fault = Fault {
            reason: FailureReason::Timeout,
            message: format!("it did nothing for the client for {timeout:?}"),
        };
        Poll::Ready(HandlerError::Failed(error(&self.used, fault)))
    }

    fn end(&mut self) {
        self.running = None;
        self.upload = None;
        self.used.telemetry.called("handle", self.since.elapsed());
    }
}

impl Drop for Guest {
    /// Nobody waits for the rest: it counts as a call all the same.
    fn drop(&mut self) {
        if self.running.is_some() {
            self.end();
        }
    }
}

impl Seed {
    async fn start(&self) -> Result<(Store<State>, Proxy), Fault> {
        self.code
            .engine()
            .with_room(async || self.try_start().await)
            .await
    }

    async fn try_start(&self) -> Result<(Store<State>, Proxy), Fault> {
        let Some(template) = self.code.template().handler() else {
            return Err(Fault {
                reason: FailureReason::Start,
                message: "it is no handler".to_owned(),
            });
        };
        let mut store = store(self.code.engine(), &self.used);
        let state = store.data_mut();
        state.budget.share(&self.account);
        state.meet(&self.used, 0);
        let wasi = Wasi::of(&self.used, self.calls_out, self.callouts.clone());
        state.wasi = Some(Box::new(wasi));
        // The way of its `weir:policy` capabilities.
        state.exchange = Exchange::new(RequestHead::default(), Facts::default());
        state.exchange.callouts.clone_from(&self.callouts);
        match template.instantiate_async(&mut store).await {
            Ok(proxy) => Ok((store, proxy)),
            Err(error) => Err(Fault::of(&error, &store.data().meter, FailureReason::Start)),
        }
    }
}

/// The whole life of an instance. The lease ends with it, whatever becomes of the answer.
async fn run(
    seed: Seed,
    mut lease: Leased,
    request: Request<Upload>,
    sender: oneshot::Sender<Head>,
) -> Result<(), Fault> {
    let since = Instant::now();
    let used = Arc::clone(&seed.used);
    let (mut store, proxy) = match seed.start().await {
        Ok(started) => started,
        Err(fault) => {
            lease.failed(&fault);
            return Err(fault);
        }
    };
    let _live = used.telemetry.instance();
    used.telemetry.started_cold();
    // Each request is a start. If faults of requests delayed starts, one client could shut the handler for all.
    lease.started(since.elapsed());
    serve(&mut store, &proxy, &used, request, sender).await
}

async fn serve(
    store: &mut Store<State>,
    proxy: &Proxy,
    used: &Use,
    request: Request<Upload>,
    sender: oneshot::Sender<Head>,
) -> Result<(), Fault> {
    let state = store.data_mut();
    state.budget.begin(used.limits.deadline);
    state.meter.begin(used.limits.memory);
    let failed = |error: &wasmtime::Error, state: &State| Fault::of(error, &state.meter, FailureReason::Trap);
    let (request, out) = resources(state, request, sender).map_err(|error| failed(&error, state))?;
    store.set_epoch_deadline(SLICE);
    let handler = proxy.wasi_http_incoming_handler();
    let called = handler.call_handle(&mut *store, request, out).await;
    called.map_err(|error| failed(&error, store.data()))?;
    // A body that nobody finished is corrupt, and without the store it would look complete.
    let mut left = store.data_mut().wasi().table.iter_mut();
    if left.any(|(_, it)| it.is::<HostOutgoingBody>()) {
        return Err(Fault {
            reason: FailureReason::NoReply,
            message: "it returned without finishing its body".to_owned(),
        });
    }
    Ok(())
}

fn resources(
    state: &mut State,
    request: Request<Upload>,
    sender: oneshot::Sender<Head>,
) -> wasmtime::Result<(Resource<HostIncomingRequest>, Resource<HostResponseOutparam>)> {
    let https = request.uri().scheme() == Some(&http::uri::Scheme::HTTPS);
    let scheme = if https { Scheme::Https } else { Scheme::Http };
    let mut view = state.http();
    let request = view.new_incoming_request(scheme, request)?;
    Ok((request, view.new_response_outparam(sender)?))
}

/// The request as the guest's host wants it.
fn incoming(request: HandlerRequest) -> (Request<Upload>, Pump) {
    let HandlerRequest {
        method,
        scheme,
        authority,
        path,
        headers,
        body,
        ..
    } = request;
    let (pump, upload) = bridge(body);
    let mut request = Request::new(upload);
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    let whole = Uri::builder()
        .scheme(scheme)
        .authority(authority.as_str())
        .path_and_query(path.clone())
        .build();
    // An old client names no host.
    *request.uri_mut() = whole.unwrap_or_else(|_| Uri::from(path));
    let host = HeaderValue::try_from(authority).unwrap_or_else(|_| HeaderValue::from_static(""));
    request.headers_mut().insert(header::HOST, host);
    (request, pump)
}

#[cold]
fn no_answer(used: &Use, message: String) -> HandlerError {
    let reason = FailureReason::NoReply;
    HandlerError::Failed(error(used, Fault { reason, message }))
}

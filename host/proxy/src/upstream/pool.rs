//! The connections of one worker to one endpoint, and all such pools of a worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpStream;
use weir_model::{Endpoint, Host};

use super::connection::{Connection, ExchangeError};
use super::http2::{Http2, Lease};
use super::send::{Sending, WholeRequest};
use super::{CONNECT_TIMEOUT, Outgoing, UpstreamBody, UpstreamError};
use crate::body::Passing;
use crate::flow::Flow;

/// Idle connections kept per endpoint and worker.
const MAX_IDLE: usize = 256;

/// How many sweeps a connection may stay idle: a minute.
const MAX_IDLE_SWEEPS: u32 = 60;

/// The connections of one worker to one endpoint.
pub(crate) struct Pool {
    endpoint: Endpoint,
    idle: RefCell<Vec<Idle>>,
    http2: Http2,
}

struct Idle {
    connection: Box<Connection>,
    sweeps: u32,
}

/// A response and the two ends of the connection it came on.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: UpstreamBody,
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
}

impl Pool {
    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends the flow's request on an idle connection or a new one.
    ///
    /// An idle connection may turn out to be closed only when it is written to. A request that is safe to
    /// repeat (RFC 9110 §9.2.2) and whose body nobody has touched then goes to the next connection.
    ///
    /// # Errors
    /// When no connection can be opened, or the endpoint breaks off before its response head is complete.
    pub(crate) async fn send(
        self: &Rc<Self>,
        flow: &Flow,
        client: &HeaderValue,
        body: Passing<Incoming>,
    ) -> Result<Answer, UpstreamError> {
        let mut body = Some(body);
        let method = flow.with(|exchange| exchange.request.method.clone());
        let headers = flow.downstream().worker.spare_map();
        self.exchange(&method, headers, |sending| {
            flow.with(|exchange| sending.start(&exchange.request, client, &mut body));
            // A body that is on its way is gone.
            body.is_some()
        })
        .await
    }

    /// Sends a request whose body is at hand, on an idle connection or a new one; repeats it as [`Pool::send`] does.
    /// Dropping the future or the answer's body in the middle closes the connection.
    ///
    /// # Errors
    /// When no connection can be opened, or the endpoint breaks off before its response head is complete.
    pub(crate) async fn fetch(self: &Rc<Self>, request: &WholeRequest) -> Result<Answer, UpstreamError> {
        self.exchange(&request.method, HeaderMap::new(), |sending| {
            sending.start_whole(request);
            true
        })
        .await
    }

    /// `start` encodes the request, and tells whether it could do so once more.
    async fn exchange(
        self: &Rc<Self>,
        method: &Method,
        mut headers: HeaderMap,
        mut start: impl FnMut(&mut Sending) -> bool,
    ) -> Result<Answer, UpstreamError> {
        loop {
            let (mut connection, reused) = match self.checkout() {
                Some(connection) => (connection, true),
                None => (Connection::open(self).await?, false),
            };
            let repeatable = start(&mut connection.sending) && method.is_idempotent();
            match connection.exchange(method, &mut headers).await {
                Ok(head) => {
                    let (remote, local) = (connection.remote, connection.local);
                    let body = UpstreamBody::new(head.framing, head.keep_alive, connection, Rc::clone(self));
                    return Ok(Answer {
                        status: head.status,
                        headers,
                        body,
                        remote,
                        local,
                    });
                }
                Err(ExchangeError::Unanswered(_)) if reused && repeatable => {}
                Err(error) => return Err(self.error(error)),
            }
        }
    }

    /// Sends a request on a stream of a shared HTTP/2 connection, without HTTP/1 before it. Dropping the future, or
    /// the response's body in the middle, resets the stream. The lease counts the stream while the response is read.
    ///
    /// # Errors
    /// When no connection can be opened, or the endpoint breaks off before its response head is complete.
    pub(crate) async fn stream(
        &self,
        request: Request<Outgoing>,
    ) -> Result<(Response<Incoming>, Rc<Lease>), UpstreamError> {
        self.http2.stream(self, request).await
    }

    /// Opens a socket to the endpoint, trying every address of its name; gives up after [`CONNECT_TIMEOUT`].
    pub(super) async fn connect(&self) -> Result<TcpStream, UpstreamError> {
        let port = self.endpoint.port;
        let connecting = async {
            match &self.endpoint.host {
                Host::Address(ip) => TcpStream::connect(SocketAddr::new(*ip, port)).await,
                Host::Name(name) => TcpStream::connect((name.as_str(), port)).await,
            }
        };
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(stream) => stream,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let stream = stream.map_err(|source| self.connect_error(source))?;
        stream
            .set_nodelay(true)
            .map_err(|source| self.connect_error(source))?;
        Ok(stream)
    }

    pub(super) fn connect_error(&self, source: io::Error) -> UpstreamError {
        UpstreamError::Connect {
            endpoint: self.endpoint.to_string(),
            source,
        }
    }

    /// Takes a connection back after its last response ended.
    pub(super) fn give_back(&self, connection: Box<Connection>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_IDLE && connection.is_usable() {
            idle.push(Idle {
                connection,
                sweeps: 0,
            });
        }
    }

    fn checkout(&self) -> Option<Box<Connection>> {
        loop {
            let idle = self.idle.borrow_mut().pop()?;
            if idle.connection.is_usable() {
                return Some(idle.connection);
            }
        }
    }

    fn error(&self, error: ExchangeError) -> UpstreamError {
        let endpoint = self.endpoint.to_string();
        match error {
            ExchangeError::Unanswered(source) | ExchangeError::BrokenOff(source) => {
                UpstreamError::Reset { endpoint, source }
            }
            ExchangeError::Malformed(source) => UpstreamError::Malformed { endpoint, source },
            ExchangeError::RequestBody(error) => UpstreamError::RequestBody(error),
        }
    }

    /// Drops what the endpoint closed or nobody used for long.
    fn sweep(&self) {
        self.http2.sweep(MAX_IDLE_SWEEPS);
        self.idle.borrow_mut().retain_mut(|idle| {
            idle.sweeps += 1;
            idle.sweeps <= MAX_IDLE_SWEEPS && idle.connection.is_usable()
        });
    }
}

/// All pools of one worker. They outlive plans: a new plan keeps the connections of its endpoints.
#[derive(Default)]
pub(crate) struct Pools {
    by_endpoint: RefCell<HashMap<Endpoint, Rc<Pool>>>,
}

impl Pools {
    /// The pool of an endpoint, made when it is new.
    pub(crate) fn get(&self, endpoint: &Endpoint) -> Rc<Pool> {
        let mut pools = self.by_endpoint.borrow_mut();
        let pool = pools.entry(endpoint.clone()).or_insert_with(|| {
            Rc::new(Pool {
                endpoint: endpoint.clone(),
                idle: RefCell::default(),
                http2: Http2::default(),
            })
        });
        Rc::clone(pool)
    }

    /// Drops dead connections, and pools that no plan and no exchange holds any more.
    pub(crate) fn sweep(&self) {
        self.by_endpoint.borrow_mut().retain(|_, pool| {
            pool.sweep();
            Rc::strong_count(pool) > 1
        });
    }
}

//! Idle connections of one endpoint, and all pools of one worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpStream;
use weir_model::{Endpoint, Host};

use super::connection::{Connection, SendError};
use super::{UpstreamBody, UpstreamError};
use crate::body::Passing;

/// Idle connections kept per endpoint and worker.
const MAX_IDLE: usize = 256;

/// How long a connection may stay idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The connections of one worker to one endpoint.
pub(crate) struct Pool {
    endpoint: Endpoint,
    idle: RefCell<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// A response and the two ends of the connection it came on.
pub(crate) struct Answer {
    pub(crate) response: Response<UpstreamBody>,
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
}

impl Pool {
    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request on an idle connection or a new one. A request that an idle connection could not
    /// take any more goes to the next one; it was not written, so nothing runs twice.
    ///
    /// # Errors
    /// When no connection can be opened, or the endpoint breaks off before its response head is complete.
    pub(crate) async fn send(
        self: &Rc<Self>,
        mut request: Request<Passing<Incoming>>,
    ) -> Result<Answer, UpstreamError> {
        loop {
            let (mut connection, reused) = match self.checkout() {
                Some(connection) => (connection, true),
                None => (Connection::open(self).await?, false),
            };
            match connection.send(request).await {
                Ok(response) => {
                    let (remote, local) = (connection.remote, connection.local);
                    let response = response.map(|body| UpstreamBody::new(body, connection, Rc::clone(self)));
                    return Ok(Answer { response, remote, local });
                }
                Err(SendError::Unsent(unsent)) if reused => request = *unsent,
                Err(SendError::Unsent(_) | SendError::Closed) => {
                    return Err(UpstreamError::Closed { endpoint: self.endpoint.to_string() });
                }
                Err(SendError::Broken(source)) => {
                    return Err(UpstreamError::Reset { endpoint: self.endpoint.to_string(), source });
                }
            }
        }
    }

    /// Opens a socket to the endpoint, trying every address of its name.
    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        match &self.endpoint.host {
            Host::Address(ip) => TcpStream::connect(SocketAddr::new(*ip, self.endpoint.port)).await,
            Host::Name(name) => TcpStream::connect((name.as_str(), self.endpoint.port)).await,
        }
    }

    /// Takes a connection back after its last response ended.
    pub(crate) fn give_back(&self, mut connection: Connection) {
        // The driver learns that the exchange is over only when it is polled once more.
        if connection.is_usable() {
            let mut idle = self.idle.borrow_mut();
            if idle.len() < MAX_IDLE {
                idle.push(Idle { connection, since: Instant::now() });
            }
        }
    }

    fn checkout(&self) -> Option<Connection> {
        loop {
            let mut idle = self.idle.borrow_mut().pop()?;
            if idle.connection.is_usable() {
                return Some(idle.connection);
            }
        }
    }

    /// Drops what the endpoint closed or nobody used for long.
    fn sweep(&self) {
        self.idle
            .borrow_mut()
            .retain_mut(|idle| idle.since.elapsed() < IDLE_TIMEOUT && idle.connection.is_usable());
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
            Rc::new(Pool { endpoint: endpoint.clone(), idle: RefCell::default() })
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
